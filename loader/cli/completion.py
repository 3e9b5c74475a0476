"""``loader completion``: prints the script with which a shell completes commands, options and their values.

The scripts ask the loader itself, through Typer, each time that a word is completed. So they know what the installed
version has. Where the loader has no answer, the shell completes names of files.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from typer.completion import get_completion_inspect_parameters, shell_complete
from typer.main import get_command

from loader.cli.streams import say

VARIABLE = "_LOADER_COMPLETE"
"""Set by the scripts, to what they ask."""

# Bash takes --via=restore for three words.
_BASH = r"""_loader() {
    local IFS=$'\n' at=$COMP_CWORD
    local words=("${COMP_WORDS[@]}")
    if [[ $at -gt 1 && ${words[at - 1]} == '=' ]]; then
        words=("${words[@]:0:at - 1}" "${words[at]}")
        at=$((at - 1))
    fi
    COMPREPLY=($(COMP_WORDS="${words[*]}" COMP_CWORD=$at _LOADER_COMPLETE=complete_bash "$1" 2>/dev/null))
}
complete -o default -F _loader loader
"""
# Zsh keeps such a word whole; what is completed is what follows the sign. The last lines are for both ways of use:
# as a file in fpath, and by eval.
_ZSH = r"""#compdef loader
_loader() {
    [[ $PREFIX == --*=* ]] && compset -P '*='
    eval "$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _LOADER_COMPLETE=complete_zsh "${words[1]}" 2>/dev/null)"
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _loader "$@"
else
    compdef _loader loader
fi
"""
_FISH = r"""function _loader
    set -lx _LOADER_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    set -l answers (loader 2>/dev/null | string match -v '')
    set -l option (commandline -ct | string match -r -- '^--[^=]*=')
    if test (count $answers) -gt 0
        printf '%s\n' "$option"$answers
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command loader --no-files --arguments '(_loader)'
"""


class Shell(StrEnum):
    """The shells that can be told how to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.", metavar="SHELL")]) -> None:
    """Print the script that makes a shell complete commands, options and their values."""
    say(SCRIPTS[shell].rstrip())


def complete(app: typer.Typer) -> NoReturn:
    """Answer the shell that asks for completions, and end the process; an error is no answer, and no text either."""
    code = 1
    with suppress(Exception):
        get_completion_inspect_parameters()  # makes the shells known to Typer
        code = shell_complete(get_command(app), {}, "loader", VARIABLE, os.environ[VARIABLE])
    sys.exit(code)
