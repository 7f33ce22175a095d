"""The one place that connects to Temporal."""
