"""What can go wrong with a moderation.

BadInput
├── NothingToModerate       400   no text, or too many
├── OnlyTexts               400   images cannot be looked at
├── TextTooLong             400
└── NoProbabilities         400   the named model's answers carry no token probabilities
Unavailable
└── NoClearAnswer           503   the model said something else than yes or no
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Unavailable


class NothingToModerate(BadInput):
    """The field 'input' must be a text, or a list of 1 to {limit} texts. Send that."""

    code = "empty_moderation_input"


class OnlyTexts(BadInput):
    """This server moderates text only, and 'input' holds a part of type '{kind}'. Send the texts without it."""

    code = "moderation_text_only"


class TextTooLong(BadInput):
    """The text number {number} has {characters} characters, and at most {limit} are looked at. Send it in pieces."""

    code = "moderation_text_too_long"


class NoProbabilities(BadInput):
    """The model '{model}' answers without token probabilities, so there is nothing to score by. Choose a model whose
    engine gives log-probabilities, or leave 'model' out for the word lists."""

    code = "moderation_no_probabilities"


class NoClearAnswer(Unavailable):
    """The model '{model}' answered neither yes nor no to the question about {category}. Use a model that follows
    instructions, or leave 'model' out for the word lists."""

    code = "moderation_no_clear_answer"
