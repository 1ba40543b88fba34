"""What the fuzzer does beyond its configuration."""

import itertools

import schemathesis

NUMBERS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each request a key of its own.

    The fuzzer writes the same good key over and over again; the server rightly refuses another request with it, and nothing behind
    that is reached. Keys that are too short or too long stay as they are.
    """
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 8 <= len(key) <= 128 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = f"fuzzer-{next(NUMBERS)}"
