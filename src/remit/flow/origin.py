"""Where words came from, and what that makes a value that is found among them."""

import enum
from collections.abc import Collection
from typing import Final


class Origin(enum.StrEnum):
    """Best first. Only what somebody proved is better than `claimed`."""

    HUMAN = "human"  # an attested channel: the task's declaration, a hook or terminal with a person's proof
    TRUSTED = "trusted"  # a source that policy trusts
    CLAIMED = "claimed"  # text in the user's role that nobody vouches for: clients write it themselves
    UNTRUSTED = "untrusted"  # content from outside
    UNSEEN = "unseen"  # found nowhere: the model made it


HEARD: Final = (Origin.HUMAN, Origin.TRUSTED, Origin.CLAIMED, Origin.UNTRUSTED)
VOUCHED: Final = frozenset({Origin.HUMAN, Origin.TRUSTED})


def best(origins: Collection[Origin]) -> Origin:
    """A value's standing: the best of where it was found, `unseen` where it was found nowhere."""
    return next((origin for origin in Origin if origin in origins), Origin.UNSEEN)
