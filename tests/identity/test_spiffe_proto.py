"""The Workload API's messages are the standard's, and clash with nobody else's in the process."""

from google.protobuf import descriptor_pb2
from spiffe._proto import workload_pb2

from remit.identity.spiffe_proto import _file, message_type


def test_the_messages_are_those_that_the_stock_client_was_compiled_with() -> None:
    theirs = descriptor_pb2.FileDescriptorProto()
    workload_pb2.DESCRIPTOR.CopyToProto(theirs)
    entries = [entry for message in theirs.message_type for entry in message.nested_type]
    for field in [field for message in (*theirs.message_type, *entries) for field in message.field]:
        field.ClearField("json_name")
    ours = {message.name: message for message in _file().message_type}
    assert ours == {message.name: message for message in theirs.message_type}


def test_both_live_in_one_process() -> None:
    ours = message_type("JWTSVIDRequest")(audience=["a"], spiffe_id="spiffe://example.org/a")
    theirs = workload_pb2.JWTSVIDRequest.FromString(ours.SerializeToString())
    assert (list(theirs.audience), theirs.spiffe_id) == (["a"], "spiffe://example.org/a")
    assert type(ours) is not type(theirs)
