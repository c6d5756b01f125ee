"""The exceptions of the page, as a tree.

PageError             the root; its text says what to do
├── HelperBusyError     too many questions wait for the helper process
├── HelperSlowError     an answer took longer than it may; the helper process was ended
└── HelperGoneError     the helper process ended before it answered
"""

from model.errors import RecloopError


class PageError(RecloopError):
    """A question of the page that has no answer."""


class HelperBusyError(PageError):
    """Too many questions wait: ask again later."""


class HelperSlowError(PageError):
    """The answer took longer than it may."""


class HelperGoneError(PageError):
    """The process that should answer ended, as when its memory ran out."""
