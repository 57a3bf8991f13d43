__title__ = "Tabular engine"
__package_name__ = "airgap_tabular_handler"
__version__ = "1.0.0"
__description__ = (
    "Trains on tables with scikit-learn, keeps its models in MLflow's registry and serves any pyfunc of it"
)
__author__ = "The authors of airgap.mlops"
__license__ = "GPL-3.0-or-later"
