"""The operator measure-feedback and the minute of counts it adds up."""
