"""`InputError` under the name that most of the project imports it by."""

from foundation.errors import InputError

__all__ = ["InputError"]
