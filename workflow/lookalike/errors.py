"""The one exception a user is meant to read."""


class LookalikeError(Exception):
    """Something the user can mend: the message names the file or setting and the remedy.

    Scripts and the command line print it without a traceback and exit with status 1.
    """
