"""Load: the network of a detector's folder, whichever runs it."""

from siamese.data.checked_folder import CheckedFolder
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import Runtime


def load_network(name: str, folder: CheckedFolder) -> Runtime:
    """The network of a detector's folder; TensorFlow is imported for "keras" alone.

    Raises ValueError if the folder holds no such network, or its layers are not imported.
    """
    if name == "numpy":
        return NumpyNetwork.load(folder)
    from siamese.inference.keras_network import KerasNetwork

    return KerasNetwork.load(folder)
