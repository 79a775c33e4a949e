"""Training: in a process of its own, the only place that knows scikit-learn, pandas, MLflow, DVC.

What these libraries would report home is switched off here, before any of them is imported.
"""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["DVC_NO_ANALYTICS"] = "true"
