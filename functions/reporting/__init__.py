"""Weekly reports: what was used, what is anomalous in it, and who is told. Imported by its functions only."""

from reporting.report import Report
from reporting.reports import Reports
from reporting.service import Reporting
from reporting.window import Window

__all__ = ["Report", "Reporting", "Reports", "Window"]
