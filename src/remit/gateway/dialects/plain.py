"""Everything that is no dialect of its own: JSON in, JSON out, each string a text by itself."""

from remit.gateway.dialects.openai import OpenAi
from remit.gateway.dialects.reader import Reader
from remit.gateway.dialects.stream import StreamReader
from remit.gateway.routes import Route


class Plain(OpenAi):
    """The dialect `plain`: operations json (nothing is sent), text (the body holds texts), admin."""

    def events(self, route: Route) -> StreamReader:
        return Reader(route)
