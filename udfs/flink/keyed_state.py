"""Managed keyed state whose values are bytes, exactly as our codec wrote them.

PyFlink's thread mode would hand a Java byte array to Python as a tuple of integers, one object a byte; a pickled
type would wrap the bytes once more. Here bytes go in and bytes come out.
"""

from typing import Any

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor


def bytes_value_state(context: RuntimeContext, name: str) -> Any:
    """Return a ValueState of bytes; its `value()` is None where nothing was stored."""
    state = context.get_state(ValueStateDescriptor(name, Types.PRIMITIVE_ARRAY(Types.BYTE())))
    state._value_converter = _identity()
    return state


def bytes_map_state(context: RuntimeContext, name: str) -> Any:
    """Return a MapState from str to bytes; its `get()` is None for an absent key."""
    state = context.get_map_state(MapStateDescriptor(name, Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())))
    state._v_converter = _identity()
    return state


def _identity() -> Any:
    # Imported here: the module exists only inside a thread-mode interpreter, where Java's classes do.
    from pyflink.fn_execution.embedded.converters import IdentityDataConverter

    return IdentityDataConverter()
