"""The side outputs, one an output table; each record is one or more lines of JSON."""

from pyflink.common import Types
from pyflink.datastream import OutputTag

USER_BEHAVIOR = OutputTag("user-behavior", Types.STRING())
PREDICTION_RESULTS = OutputTag("prediction-results", Types.STRING())
DEAD_LETTERS = OutputTag("dead-letters", Types.STRING())
FEEDBACK = OutputTag("feedback", Types.ROW([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())]))
"""Not a table yet: one bucket's minute, for measure-feedback."""
