"""What can go wrong with decisions and calibrations.

BadInput
├── DecisionTextOnly            400   images cannot be looked at
├── BadDecisionInput            400   the input's items do not fit together
├── BadDecisionQuestion         400   a question that cannot be asked
├── DecisionNoProbabilities     400   the named model's answers carry no token probabilities
├── DecisionsNotPossible        400   the model cannot be asked at all
├── BadCalibrationRows          400   a labelled set that cannot be used
├── TooFewCalibrationRows       400
├── CalibrationNotForModel      400   fitted on another model's answers
├── CalibrationNotForQuestion   400   fitted on other questions
├── CalibrationNotBinary        400   thresholds are for predicates
└── CalibrationBadCosts         400
Conflict
├── CalibrationNotReady         409
└── CalibrationOutdated         409   the name means another model now
Unavailable
├── CalibrationIncomplete       503   too many rows got no answer
└── CalibrationBrokeOff         503   the job itself failed
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Unavailable


class DecisionTextOnly(BadInput):
    """Decisions here are about text, and the request holds a part of type '{kind}'. Send text or JSON in its place."""

    code = "decision_text_only"


class BadDecisionInput(BadInput):
    """The input cannot be used: {reason}"""

    code = "invalid_decision_input"


class BadDecisionQuestion(BadInput):
    """The question number {number} cannot be asked: {reason}"""

    code = "invalid_decision_question"


class DecisionNoProbabilities(BadInput):
    """The model '{model}' answers without token probabilities, so there is nothing to decide by. Choose a model
    whose engine gives log-probabilities."""

    code = "decision_no_probabilities"


class DecisionsNotPossible(BadInput):
    """The model '{model}' could not be asked: {reason}"""

    code = "decision_model_unusable"


class BadCalibrationRows(BadInput):
    """The row number {number} of the labelled set cannot be used: {reason}"""

    code = "invalid_calibration_rows"


class TooFewCalibrationRows(BadInput):
    """The method {method} needs at least {least} usable rows in each part, with every part holding right and wrong
    answers, and there are {fitted} to fit and {held_out} held out. Give more labelled rows."""

    code = "too_few_calibration_rows"


class CalibrationNotForModel(BadInput):
    """The calibration {id} was fitted on the answers of '{fitted}', not of '{model}'. Make one for this model, or
    leave 'calibration' out."""

    code = "calibration_other_model"


class CalibrationNotForQuestion(BadInput):
    """The calibration {id} was not fitted on the question number {number}. Ask it exactly as in the labelled set, or
    send it in a request of its own."""

    code = "calibration_other_question"


class CalibrationNotBinary(BadInput):
    """The calibration {id} is of {kind} questions, and a threshold is for predicates."""

    code = "calibration_not_binary"


class CalibrationBadCosts(BadInput):
    """The costs of a false positive and of a false negative cannot both be 0. Give what each mistake costs, in any one
    unit."""

    code = "calibration_bad_costs"


class CalibrationNotReady(Conflict):
    """The calibration {id} is {status}. Use it when it is ready."""

    code = "calibration_not_ready"


class CalibrationOutdated(Conflict):
    """The calibration {id} was fitted when the name '{model}' meant another model than now. Make a new one."""

    code = "calibration_outdated"


class CalibrationIncomplete(Unavailable):
    """{missing} of {rows} rows got no answer from the model, which is too many to fit on. The last reason: {reason}"""

    code = "calibration_incomplete"


class CalibrationBrokeOff(Unavailable):
    """The calibration broke off inside Plinth; see the worker's log. Make a new one."""

    code = "calibration_broke_off"
