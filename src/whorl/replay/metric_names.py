"""How the metrics of a report are called where people read it."""

_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "calibration_error": "calibration error",
}


def metric_name(name: str) -> str:
    """A metric's name in words; your own function's as it is.

    >>> metric_name("log_loss"), metric_name("shop.money:saved")
    ('log loss', 'shop.money:saved')
    """
    return _NAMES.get(name, name)


def metric_title(name: str) -> str:
    """The same, to begin a sentence with.

    >>> metric_title("log_loss"), metric_title("auc")
    ('Log loss', 'AUC')
    """
    return metric_name(name)[:1].upper() + metric_name(name)[1:]
