"""How the command line words what the user got wrong, in the form of all other messages: expected, received, repair."""

import click

from regimen.errors import nearest


def printable(text: str) -> str:
    r"""Return `text` on one line, with everything a terminal might obey or choke on written as an escape.

    Example:
        >>> print(printable("red" + chr(27) + "[31m"))
        red\x1b[31m
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def usage_message(error: click.UsageError) -> str:
    """Return the message for a command line that click could not read."""
    context = error.ctx
    where = f" (see `{context.command_path} --help`)" if context else ""
    return _reason(error, context) + where


def _reason(error: click.UsageError, context: click.Context | None) -> str:
    match error:
        case click.NoSuchOption(option_name=name):
            return f"no such option {name}{_near_option(name, context)}"
        case click.BadOptionUsage(option_name=name):
            return f"{name}: {'it takes no value' if 'not take' in error.message else 'expected a value after it'}"
        case click.MissingParameter(param=click.Argument() as argument):
            return f"expected {argument.make_metavar(context) if context else argument.name}, got nothing"
        case click.MissingParameter(param=click.Option() as option):
            return f"expected the option {option.opts[-1]}"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{name_of(parameter)}: {error.message}"
        case _:
            message = error.message.rstrip(".")
            return message[:1].lower() + message[1:]


def name_of(parameter: click.Parameter) -> str:
    """Return what the user calls a parameter: `--pairs`, or `DATA` for an argument."""
    return parameter.opts[-1] if isinstance(parameter, click.Option) else (parameter.name or "").upper()


def _near_option(name: str, context: click.Context | None) -> str:
    if context is None:
        return ""
    valid = [opt for parameter in context.command.get_params(context) for opt in parameter.opts if len(opt) > 2]
    hint = nearest(name, valid)
    return hint if "did you mean" in hint else ""
