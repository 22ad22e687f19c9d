"""The verdicts of a checker beside those that the node has given on a list of files."""

from formats import Bad


def verdict(check, path):
    """What is wrong with a file; none if nothing."""
    try:
        check(path.name, path.read_bytes())
    except Bad as bad:
        return str(bad)
    return None


def agree(listed, kind, check, must_be_refused, accepted):
    """Compares on the files of a kind in a list; how many were refused, and how many not.

    The list has a line a file: name, what the node said, and why. `must_be_refused` tells of a reason of the node's whether this
    checker sees it too; `accepted` is what a file is called that it does not refuse.
    """
    refused = believed = 0
    for line in listed.read_text().splitlines():
        name, said, why = line.split("\t")
        if not name.startswith(f"{kind}-"):
            continue
        found = verdict(check, listed.parent / name)
        missed = said == "refused" and must_be_refused(why) and found is None
        if missed or (said == "says" and found is not None):
            raise Bad(f"{name}: the node: {said} {why}; here: {found or accepted}")
        refused, believed = refused + (found is not None), believed + (found is None)
    return refused, believed
