"""A process that works on objects, and may be killed: see `test_kills_with_objects`."""

import json
import sys

from langchain_sutro import SutroClient, SutroFunction, SutroJobGroup, errors
from tests.faults.network_faults import patient


def main(verb: str, place: str, source: str, stage: str, target: str) -> None:
    """Submit the objects of a directory, or resume it; then write the results.

    Args:
        verb: `submit`, `resume`, or `resubmit` also what may have been submitted.
        place: Of the checkpoint.
        source: The directory of objects.
        stage: Where they are written anew.
        target: Where the results are written.
    """
    function = SutroFunction("echo", poll_interval=0.05)
    client = SutroClient()
    client.policy = function.client.policy = patient()
    if verb == "submit":
        group = function.submit_in_parts(source, 4, stage=stage, max_jobs=2, checkpoint=place)
    else:
        try:
            group = SutroJobGroup.resume(
                place, client=client, poll_interval=0.05, resubmit_unknown=verb == "resubmit"
            )
        except errors.SubmissionUnknownError as error:
            json.dump({"unknown": error.token}, sys.stdout)
            return
    json.dump(group.write_results(target, inputs=True), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
