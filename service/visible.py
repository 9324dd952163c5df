"""Makes control characters visible, which others may have put into a name and a terminal would act on."""

import re

from service.escaping import escape_surrogates

# Control characters except tab and newline, and characters that change the direction of writing.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    r"""Write every character that a terminal would act on as its code, as in \x1b."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), escape_surrogates(text))
