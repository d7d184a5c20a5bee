from tests.console.visitors import other, quiet, visitor

__all__ = ["other", "quiet", "visitor"]
