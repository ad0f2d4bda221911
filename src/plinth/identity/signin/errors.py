"""What can go wrong when people sign in.

Unauthenticated
├── WrongCredentials        401  wrong_credentials
└── SessionEnded            401  session_ended
Forbidden
├── CsrfFailed              403  csrf_failed
├── SessionNeeded           403  session_needed
└── ProviderSignInRefused   403
    ├── ProviderRefused     403  provider_refused
    ├── SignInExpired       403  sign_in_expired
    ├── ProviderAnswerWrong 403  provider_answer_wrong
    ├── EmailUnverified     403  email_unverified
    ├── EmailNotAllowed     403  email_not_allowed
    ├── NotInvited          403  not_invited
    └── LinkedToAnother     403  linked_to_another
NotFound
└── UnknownProvider         404  unknown_provider
BadInput
├── PasswordLength          400  password_length
├── PasswordGuessable       400  password_guessable
├── WrongPassword           400  wrong_password
├── ProjectNeeded           400  project_needed
├── SetupTokenWrong         400  setup_token_wrong
└── ResetTokenSpent         400  reset_token_spent
Conflict
├── SetupDone               409  setup_done
└── NoPassword              409  no_password
RateLimited
└── TooManyAttempts         429  too_many_attempts
Unavailable
├── SignInBusy              503  sign_in_busy
└── ProviderUnavailable     503  provider_unavailable
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Forbidden, NotFound, RateLimited, Unauthenticated, Unavailable


class WrongCredentials(Unauthenticated):
    """The address or the password is wrong. Try again, or ask an owner or admin for a link to set a new password."""

    code = "wrong_credentials"

    @property
    def headers(self) -> dict[str, str]:
        return {}


class SessionEnded(Unauthenticated):
    """Your session has ended. Sign in again."""

    code = "session_ended"

    @property
    def headers(self) -> dict[str, str]:
        return {}


class CsrfFailed(Forbidden):
    """The request did not prove that it comes from the console. Reload the page and try again.
    A script sends the 'csrf_token' of GET /api/session as the header x-csrf-token, or uses an API key."""

    code = "csrf_failed"


class SessionNeeded(Forbidden):
    """Only a person who has signed in can do that; an API key or a token cannot. Sign in to the console."""

    code = "session_needed"


class ProviderSignInRefused(Forbidden):
    """Signing in through the provider failed. Try again, or ask an owner or admin."""

    code = "provider_sign_in_refused"


class ProviderRefused(ProviderSignInRefused):
    """The sign-in provider did not let you in, or you cancelled. Try again, or ask whoever runs that provider."""

    code = "provider_refused"


class SignInExpired(ProviderSignInRefused):
    """This sign-in was begun too long ago, in another browser, or has been used. Start again from the sign-in page."""

    code = "sign_in_expired"


class ProviderAnswerWrong(ProviderSignInRefused):
    """The sign-in provider's answer could not be trusted: {reason}. Ask an admin to compare the
    settings 'oidc.providers' with the provider's."""

    code = "provider_answer_wrong"


class EmailUnverified(ProviderSignInRefused):
    """The sign-in provider does not say that your e-mail address is verified.
    Verify it there, or ask an admin of this server."""

    code = "email_unverified"


class EmailNotAllowed(ProviderSignInRefused):
    """People with your e-mail domain may not sign in here. Use your work account, or ask an owner or admin."""

    code = "email_not_allowed"


class NotInvited(ProviderSignInRefused):
    """Nobody with your e-mail address is in this organization. Ask an owner or admin to invite you."""

    code = "not_invited"


class LinkedToAnother(ProviderSignInRefused):
    """Your e-mail address belongs here to somebody else of the same sign-in provider.
    Ask an owner or admin to remove the old account and invite you."""

    code = "linked_to_another"


class UnknownProvider(NotFound):
    """There is no sign-in provider '{id}' here. Start from the sign-in page."""

    code = "unknown_provider"


class PasswordLength(BadInput):
    """A password has {minimum} to {maximum} characters. A few words that you will remember make a good one."""

    code = "password_length"


class PasswordGuessable(BadInput):
    """That password is among the first that attackers try: a common one, or your own address. Choose another."""

    code = "password_guessable"


class WrongPassword(BadInput):
    """That is not your current password. Nothing was changed."""

    code = "wrong_password"


class ProjectNeeded(BadInput):
    """Say which project to work in: send its id as the header x-plinth-project."""

    code = "project_needed"


class SetupTokenWrong(BadInput):
    """The setup address is not valid any more. Use the one that the last start of 'plinth up' printed."""

    code = "setup_token_wrong"


class ResetTokenSpent(BadInput):
    """This link to set a password has been used, replaced or has expired. Ask an owner or admin for a new one."""

    code = "reset_token_spent"


class SetupDone(Conflict):
    """This server has been set up already. Sign in instead."""

    code = "setup_done"


class NoPassword(Conflict):
    """Your account has no password: you sign in through a provider.
    Ask an owner or admin for a link to set one."""

    code = "no_password"


class TooManyAttempts(RateLimited):
    """Too many failed attempts to sign in. Wait {retry_after_seconds} seconds and try again."""

    code = "too_many_attempts"


class SignInBusy(Unavailable):
    """Too many people are signing in at this moment. Try again in a few seconds."""

    code = "sign_in_busy"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}


class ProviderUnavailable(Unavailable):
    """The sign-in provider '{provider}' does not answer as it should: {reason}.
    Try again soon, or sign in with a password."""

    code = "provider_unavailable"
