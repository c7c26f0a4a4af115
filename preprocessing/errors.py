"""`InputError` under the name that most of the project imports it by."""

from common.errors import InputError

__all__ = ["InputError"]
