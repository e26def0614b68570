"""A process that works on a table, and may be killed: see `test_kills`."""

import json
import sys
from datetime import timedelta

from langchain_sutro import SutroClient, SutroFunction, SutroJobGroup, errors
from tests.faults.network_faults import patient
from tests.support.numbered_rows import rows


def main(verb: str, place: str, count: str) -> None:
    """Carry a verb out, and print the answers.

    Args:
        verb: `submit` a table in three parts, `resume` it, `resubmit` also what may have been
            submitted, or submit it as `one` job, if need be by taking the one that is there.
        place: Of the manifest.
        count: Rows.
    """
    table = rows(int(count))
    reuse = timedelta(hours=1) if verb == "one" else None
    function = SutroFunction("echo", poll_interval=0.05, reuse_jobs=reuse)
    client = SutroClient()
    client.policy = function.client.policy = patient()
    if verb == "submit":
        owner = function.submit_in_parts(table, -(-len(table) // 3), checkpoint=place)
    elif verb in ("resume", "resubmit"):
        try:
            owner = SutroJobGroup.resume(
                place, table, client=client, resubmit_unknown=verb == "resubmit"
            )
        except errors.SubmissionUnknownError as error:
            json.dump({"unknown": error.token}, sys.stdout)
            return
    else:
        owner = function.submit(table)
    json.dump([result.answer for result in owner.results()], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
