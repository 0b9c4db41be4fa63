"""The report of a study: one self-contained HTML page, a table for the terminal, and the verdict in one sentence."""

from regimen.report.page import write_report
from regimen.report.sentence import verdict_sentence
from regimen.report.terminal import results_table

__all__ = ["results_table", "verdict_sentence", "write_report"]
