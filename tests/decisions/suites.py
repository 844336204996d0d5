"""The policies and data of AuthZEN's own interop scenarios, written from their descriptions."""

from typing import Any

TODO_USERS = {
    "rick@the-citadel.com": ("fd0614d3-c39a-4781-b7bd-8b96f5a5100d", ["admin", "evil_genius"]),
    "morty@the-citadel.com": ("fd1614d3-c39a-4781-b7bd-8b96f5a5100d", ["editor"]),
    "summer@the-smiths.com": ("fd2614d3-c39a-4781-b7bd-8b96f5a5100d", ["editor"]),
    "beth@the-smiths.com": ("fd3614d3-c39a-4781-b7bd-8b96f5a5100d", ["viewer"]),
    "jerry@the-smiths.com": ("fd4614d3-c39a-4781-b7bd-8b96f5a5100d", ["viewer"]),
}
SEARCH_USERS = {
    "alice": ("manager", "Sales"),
    "bob": ("employee", "Legal"),
    "carol": ("contractor", "Legal"),
    "dan": ("manager", "Finance"),
    "erin": ("employee", "Finance"),
    "felix": ("contractor", "Accounting"),
}
RECORDS = """
    Legal alice; Legal bob; Legal carol; Accounting dan; Legal erin; Accounting felix; Sales alice; Legal bob;
    Accounting carol; Sales dan; Accounting erin; Legal felix; Sales alice; Accounting bob; Finance carol; Legal dan;
    Legal erin; Accounting felix; Legal alice; Accounting bob
"""

TODO = """
@id("everybody-reads") @reason("who is listed reads")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.subject.known &&
       ["can_read_user", "can_read_todos"].contains(context.access.name) };

@id("who-writes-creates") @reason("editors and admins create")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "can_create_todo" &&
       context.access.subject.facts.containsAny(["role=admin", "role=editor"]) };

@id("own") @reason("who writes changes and deletes what is theirs")
permit (principal, action == Action::"access", resource)
when { context has access && ["can_update_todo", "can_delete_todo"].contains(context.access.name) &&
       context.access.subject.facts.contains("role=editor") && context.access.same.contains("email=ownerID") };

@id("evil") @reason("an evil genius changes all")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "can_update_todo" &&
       context.access.subject.facts.contains("role=evil_genius") };

@id("admins") @reason("an admin deletes all")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "can_delete_todo" &&
       context.access.subject.facts.contains("role=admin") };
"""

GATEWAY = """
@id("reads") @reason("who is listed reads")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.subject.known && context.access.name == "GET" };

@id("writes") @reason("who writes may ask; the application decides on whose it is")
permit (principal, action == Action::"access", resource)
when { context has access && ["POST", "PUT", "DELETE"].contains(context.access.name) &&
       context.access.subject.facts.containsAny(["role=admin", "role=editor"]) };
"""

SEARCH = """
@id("view-own") @reason("a user can view any record they own")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" && context.access.same.contains("id=owner") };

@id("view-department") @reason("a user can view any record in their department")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" &&
       context.access.same.contains("department=department") };

@id("managers-view") @reason("a manager can view any record")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" && resource.known &&
       context.access.subject.facts.contains("role=manager") };

@id("edit-own") @reason("a user can edit and delete any record they own")
permit (principal, action == Action::"access", resource)
when { context has access && ["edit", "delete"].contains(context.access.name) &&
       context.access.same.contains("id=owner") };

@id("managers-edit") @reason("a manager can edit any record in their department")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "edit" &&
       context.access.subject.facts.contains("role=manager") &&
       context.access.same.contains("department=department") };
"""


def todo_catalogue(ids: dict[str, str]) -> str:
    """Each user by every id that the scenario's versions use for them: `ids` has the others by address."""
    rows = ""
    for email, (_, roles) in TODO_USERS.items():
        said = f"email = {email!r}, role = {roles!r}"
        for kind, name in (("user", email), ("user", ids[email]), ("identity", ids[email])):
            rows += f'[subject."{kind}/{name}"]\nfacts = {{ {said} }}\n'
    return rows.replace("'", '"')


def search_catalogue() -> str:
    users = "".join(
        f'[subject."user/{name}"]\nfacts = {{ role = "{role}", department = "{department}" }}\n'
        for name, (role, department) in SEARCH_USERS.items()
    )
    rows = [row.split() for row in RECORDS.split(";")]
    records = "".join(
        f'[resource."record/{number}"]\nfacts = {{ department = "{department}", owner = "{owner}" }}\n'
        for number, (department, owner) in enumerate(rows, 101)
    )
    return users + records


def pids() -> dict[str, str]:
    """The scenario's own ids of its users: a length-prefixed UUID and connector, in base64."""
    import base64

    def pid(uuid: str) -> str:
        return base64.b64encode(b"\n$" + uuid.encode() + b"\x12\x05local").decode().rstrip("=")

    return {email: pid(uuid) for email, (uuid, _) in TODO_USERS.items()}


def names(results: Any) -> set[str]:
    return {one.get("id") or one["name"] for one in results}
