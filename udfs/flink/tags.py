"""The side outputs: those named like an output table carry its rows, one or more lines of JSON a record."""

from pyflink.common import Types
from pyflink.datastream import OutputTag

ATTEMPTS = OutputTag("attempts", Types.STRING())
USER_BEHAVIOR = OutputTag("user-behavior", Types.STRING())
PREDICTION_RESULTS = OutputTag("prediction-results", Types.STRING())
DEAD_LETTERS = OutputTag("dead-letters", Types.STRING())
MODEL_SWAPS = OutputTag("model-swaps", Types.STRING())
TREND_SNAPSHOTS = OutputTag("trend-snapshots", Types.STRING())
TREND_PARTS = OutputTag("trend-parts", Types.ROW([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())]))
"""Not a table: what one element adds to the trends, for find-trends."""
FEEDBACK = OutputTag("feedback", Types.ROW([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())]))
"""Not a table yet: one bucket's minute, for measure-feedback."""
