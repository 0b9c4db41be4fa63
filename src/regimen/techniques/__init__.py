"""One class or function per published technique, and the catalogue of what a study tries."""

from regimen.techniques.augmentation import AUGMENTATIONS, augment, output_shape
from regimen.techniques.augmentation_cutmix import cutmix
from regimen.techniques.augmentation_erasing import Cutout, Erasing, PixelNoise
from regimen.techniques.augmentation_geometry import Affine, HorizontalFlip, Rotation, VerticalFlip
from regimen.techniques.augmentation_operation import Augmentation
from regimen.techniques.augmentation_windows import CenterCrop, RandomCrop, RandomResizedCrop, Resize
from regimen.techniques.averaging import AVERAGINGS, EMA, SWA, Average, Averaging, reestimate_batch_norm
from regimen.techniques.catalogue import CATALOGUE, Technique, choose_techniques, fitted
from regimen.techniques.initialization import INITIALIZATIONS, Initialization, initialize
from regimen.techniques.mixing import input_noise, mix, mixup_partners, mixup_weights
from regimen.techniques.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    decaying,
    parameter_groups,
)
from regimen.techniques.penalties import add_l1_gradient, decay, limit_norm, proximal_l1
from regimen.techniques.schedules import (
    SCHEDULES,
    CosineLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    Schedule,
    StepLR,
    learning_rates,
)
from regimen.techniques.stopping import STOP_FRACTION, EarlyStopping, StopWatch

__all__ = [
    "AUGMENTATIONS",
    "AVERAGINGS",
    "CATALOGUE",
    "EMA",
    "INITIALIZATIONS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "STOP_FRACTION",
    "SWA",
    "Adagrad",
    "Adam",
    "AdamW",
    "Affine",
    "Augmentation",
    "Average",
    "Averaging",
    "CenterCrop",
    "CosineLR",
    "Cutout",
    "EarlyStopping",
    "Erasing",
    "ExponentialLR",
    "HorizontalFlip",
    "Initialization",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PixelNoise",
    "RMSprop",
    "RandomCrop",
    "RandomResizedCrop",
    "Resize",
    "Rotation",
    "Schedule",
    "StepLR",
    "StopWatch",
    "Technique",
    "VerticalFlip",
    "add_l1_gradient",
    "augment",
    "choose_techniques",
    "cutmix",
    "decay",
    "decaying",
    "fitted",
    "initialize",
    "input_noise",
    "learning_rates",
    "limit_norm",
    "mix",
    "mixup_partners",
    "mixup_weights",
    "output_shape",
    "parameter_groups",
    "proximal_l1",
    "reestimate_batch_norm",
]
