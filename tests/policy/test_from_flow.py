"""What flowed through a task, as policies read it."""

from remit.detect import Label
from remit.flow import ArgumentClass, Flow, Origin
from remit.policy.circumstances import Arguments, FlowFacts
from remit.policy.from_flow import arguments, flow_facts


def test_each_class_stands_with_the_standing_of_its_values() -> None:
    flow = Flow()
    flow.heard("mail bob@x.example", Origin.HUMAN)
    flow.listed(["Carl"], Origin.TRUSTED)
    flow.heard("or eve@x.example at https://x.example/", Origin.UNTRUSTED, Label.CONFIDENTIAL)
    flow.heard("dan@x.example", Origin.CLAIMED)
    kinds = {"/to": ArgumentClass.RECIPIENT, "/url": ArgumentClass.URL, "/body": ArgumentClass.TEXT}
    to = ["bob@x.example", "Carl", "eve@x.example", "dan@x.example"]
    told = flow.arguments({"to": to, "url": "https://x.example", "body": "whatever"}, kinds)
    assert arguments(told) == Arguments(
        classes=("recipient", "text", "url"),
        human=("recipient",),
        trusted=("recipient",),
        claimed=("recipient",),
        untrusted=("recipient", "url"),
        unseen=("text",),
    )


def test_the_mark_and_what_was_done() -> None:
    flow = Flow()
    assert flow_facts(flow) == FlowFacts(0, untrusted=False, did=())
    flow.heard("secret", Origin.UNTRUSTED, Label.RESTRICTED)
    flow.did("send", "read")
    assert flow_facts(flow) == FlowFacts(3, untrusted=True, did=("read", "send"))
