"""Predictions that are anonymised, cached, logged and audited. The cache is a library too: `from gateway import PredictionCache`."""

import typing as t

if t.TYPE_CHECKING:
    from gateway.cache import AsyncPredictionCache, Prediction, PredictionCache, connect, connect_async

__all__ = ("AsyncPredictionCache", "Prediction", "PredictionCache", "connect", "connect_async")


def __getattr__(name: str) -> t.Any:
    """The names above, when they are asked for: who checks a policy (`gateway.policy`) needs no Redis client."""
    if name in __all__:
        import gateway.cache  # noqa: PLC0415

        return getattr(gateway.cache, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
