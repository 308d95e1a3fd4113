"""The verb `completion`: scripts with which bash, zsh and fish complete `jupyter session`.

The scripts ask `jupyter-session complete WORD…` for the candidates of the last word, one a line with its description.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress

from jupyter_sessions.client import Api
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.completion import complete
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Result, Text
from jupyter_sessions.commands.verb import Verb, no_options
from jupyter_sessions.errors import SessionError

_BASH = r"""# Completion of `jupyter session` for bash: eval "$(jupyter session completion bash)"
_jupyter_session() {
    local first=1 IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} words
    [[ ${COMP_WORDS[0]##*/} == jupyter ]] && first=2
    if (( first == 2 )) && [[ ${COMP_WORDS[1]} != session || $COMP_CWORD -lt 2 ]]; then
        COMPREPLY=()
        [[ -n $_jupyter_before_session ]] && $_jupyter_before_session "$@"
        return
    fi
    IFS=$' \t' read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local last=${words[-1]}
    COMPREPLY=($(jupyter-session complete "${words[@]:first}" 2>/dev/null | cut -f1))
    if [[ $last == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*:}"}"}")
    fi
}
_jupyter_before_session=$(complete -p jupyter 2>/dev/null | sed -n 's/.*-F \([^ ]*\).*/\1/p')
[[ $_jupyter_before_session == _jupyter_session ]] && _jupyter_before_session=
complete -o default -F _jupyter_session jupyter-session jupyter
"""

_ZSH = r"""# Completion of `jupyter session` for zsh: eval "$(jupyter session completion zsh)"
_jupyter_session() {
    local first=2
    if [[ ${words[1]:t} == jupyter ]]; then
        first=3
        if [[ ${words[2]} != session || $CURRENT -lt 3 ]]; then
            if [[ -n $_jupyter_before_session ]]; then $_jupyter_before_session "$@"; else _files; fi
            return
        fi
    fi
    local line value about
    local -a values abouts
    for line in "${(@f)$(jupyter-session complete "${(@)words[first,CURRENT]}" 2>/dev/null)}"; do
        [[ -z $line ]] && continue
        value=${line%%$'\t'*} about=${line#*$'\t'}
        values+=("$value") abouts+=("$value${about:+  -- $about}")
    done
    if (( $#values )); then compadd -l -d abouts -a values; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
[[ ${_comps[jupyter]} == _jupyter_session ]] || _jupyter_before_session=${_comps[jupyter]}
compdef _jupyter_session jupyter-session jupyter
"""

_FISH = r"""# Completion of `jupyter session` for fish: jupyter session completion fish | source
function __jupyter_session
    set -l words (commandline -opc) (commandline -ct)
    if string match -q '*jupyter' -- $words[1]
        set -e words[1]
    end
    set -e words[1]
    jupyter-session complete $words 2>/dev/null
end
complete -c jupyter -n '__fish_seen_subcommand_from session' -f -a '(__jupyter_session)'
complete -c jupyter -n '__fish_seen_subcommand_from session' -F -n 'test -z "$(__jupyter_session)"'
complete -c jupyter-session -f -a '(__jupyter_session)'
complete -c jupyter-session -F -n 'test -z "$(__jupyter_session)"'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def _completion_options(verb: ArgumentParser) -> None:
    verb.add_argument("shell", choices=[*_SCRIPTS], metavar="SHELL", help="bash, zsh or fish")


async def completion(api: Api, asked: Namespace, face: Face) -> Result:
    """Return the script of a shell."""
    return Text(_SCRIPTS[asked.shell].rstrip())


async def candidates(api: Api, asked: Namespace, face: Face) -> Result:
    """Return what completes the last word, one candidate a line; nothing if a backend does not answer."""
    *before, word = asked.words or [""]
    found = dict[str, str]()
    with suppress(SessionError):
        found = await complete(api, before, word)
    lines = [f"{plain(name)}\t{plain(about).partition('. ')[0]}" for name, about in found.items()]
    return Text("\n".join(lines))


VERBS = (
    Verb(
        "completion",
        "print a completion script (for a shell)",
        "Print the script with which a shell completes `jupyter session`: bash, zsh or fish.",
        _completion_options,
        completion,
    ),
    Verb("complete", "", "Complete the last of the words that follow.", no_options, candidates),
)
