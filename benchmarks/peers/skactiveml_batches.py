"""Labels bought by scikit-activeml's strategies, with the same learner: run by `labels_to_accuracy.py` in its own environment.

Margin and entropy see the SVM's softmax; CoreSet and TypiClust see the places (latent semantic analysis) that Whorl's
strategies see. TypiClust clusters anew for each batch, as many clusters as there are labels, and stops sooner. BADGE keeps a
gradient for each row and class, which is 77 times the places: it does not run at this size.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import CoreSet, TypiClust, UncertaintySampling
from sklearn.svm import LinearSVC

GOAL = 0.98
MOST = {"margin": 5000, "entropy": 5000, "coreset": 5000, "typiclust": 2600}


class SoftSVC(LinearSVC):
    """A linear SVM that tells the softmax of its scores as probabilities."""

    def predict_proba(self, X):
        scores = self.decision_function(X)
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)


def main() -> None:
    warnings.simplefilter("ignore")
    place, batch, seeds = Path(sys.argv[1]), int(sys.argv[2]), [int(seed) for seed in sys.argv[3:]]
    rows, tests = sp.load_npz(place / "rows.npz").tocsr(), sp.load_npz(place / "test_rows.npz").tocsr()
    dense = rows.toarray()
    rest = np.load(place / "rest.npz")
    truth, test, places = rest["truth"], rest["test"], rest["places"]
    full = np.mean(LinearSVC(random_state=0).fit(rows, truth).predict(tests) == test)
    curves = {}
    for name in MOST:
        curves[name] = [
            curve(name, (rows, dense), truth, tests, test, places, full, batch, seed) for seed in seeds
        ]
        (place / "curves.json").write_text(json.dumps(curves))


def curve(name, matrices, truth, tests, test, places, full, batch, seed):
    """[labels, accuracy] after each batch."""
    rows, dense = matrices
    random = np.random.default_rng(seed)
    known = np.full(len(truth), np.nan)
    bought = random.choice(len(truth), batch, replace=False)
    found = []
    while True:
        known[bought] = truth[bought]
        have = np.flatnonzero(~np.isnan(known))
        model = SoftSVC(random_state=0).fit(rows[have], truth[have])
        found.append([len(have), float(np.mean(model.predict(tests) == test))])
        if found[-1][1] >= GOAL * full or len(have) >= MOST[name]:
            return found
        bought = query(name, dense, places, known, batch, seed)


def query(name, dense, places, known, batch, seed):
    if name == "coreset":
        return CoreSet(random_state=seed).query(places, known, batch_size=batch)
    if name == "typiclust":
        return TypiClust(random_state=seed).query(places, known, batch_size=batch)
    method = "margin_sampling" if name == "margin" else "entropy"
    classifier = SklearnClassifier(SoftSVC(random_state=0), classes=np.arange(int(np.nanmax(known)) + 1))
    strategy = UncertaintySampling(method=method, random_state=seed)
    return strategy.query(dense, known, classifier, batch_size=batch)


if __name__ == "__main__":
    main()
