"""What goes wrong just after a job was submitted."""

import os

import leads

_submit = leads.submit_leads


def the_process_dies():
    """The first task's process is gone, and with it the result."""

    def submit(*args):
        _submit(*args)
        os._exit(9)

    leads.submit_leads = submit


def the_task_fails_once():
    """The first attempt raises, and the scheduler repeats it."""

    def submit(*args):
        _submit(*args)
        leads.submit_leads = _submit
        raise OSError("the worker lost its connection")

    leads.submit_leads = submit


TROUBLE = {"dies": the_process_dies, "fails once": the_task_fails_once, "": lambda: None}
