import type { CommandSpec } from '../command-spec.js';
import { choicesOf } from './words.js';
import type { Choice, OptionChoice } from './words.js';

/** Shells that a script can be made for. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** Quotes for sh, zsh and fish alike: none of the texts has a quote of its own. */
const quote = (text: string): string => `'${text.replaceAll("'", '')}'`;

const optionWords = (options: readonly OptionChoice[]): string[] =>
  options.flatMap(({ long, short }) => (short === undefined ? [long] : [short, long]));

/** Finds the longest known path on the line: two words, one, or none. */
function bash(choices: readonly Choice[]): string {
  const cases = choices.map(({ options, path, words }) => {
    const all = [...words.map(([word]) => word), ...optionWords(options)].join(' ');
    return `    ${quote(path)}) words=${quote(all)} ;;`;
  });
  return `# bash completion of conclave
_conclave() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path words='' index
  for index in 2 1 0; do
    (( COMP_CWORD > index )) || continue
    path="\${COMP_WORDS[*]:1:index}"
    case "$path" in
${cases.map((line) => `  ${line}`).join('\n')}
    esac
    [ -n "$words" ] && break
  done
  COMPREPLY=()
  while IFS= read -r index; do COMPREPLY+=("$index"); done < <(compgen -W "$words" -- "$current")
}
complete -o default -F _conclave conclave
`;
}

/** zsh shows the summaries; colons separate them from the words. */
function zsh(choices: readonly Choice[]): string {
  const describe = (word: string, summary: string): string =>
    quote(`${word.replaceAll(':', '\\:')}:${summary.replaceAll(':', '\\:')}`);
  const cases = choices.map(({ options, path, words }) => {
    const all = [
      ...words.map(([word, summary]) => describe(word, summary)),
      ...options.flatMap(({ help, long, short }) =>
        (short === undefined ? [long] : [short, long]).map((word) => describe(word, help)),
      ),
    ];
    return `      ${quote(path)}) found=(${all.join(' ')}) ;;`;
  });
  return `#compdef conclave
# zsh completion of conclave
_conclave() {
  local -a found
  local count
  for count in 2 1 0; do
    (( CURRENT > count + 1 )) || continue
    case "\${(j: :)words[2,count+1]}" in
${cases.join('\n')}
    esac
    (( \${#found} )) && break
  done
  _describe 'conclave' found || _files
}
compdef _conclave conclave
`;
}

function fish(choices: readonly Choice[]): string {
  const lines = choices.flatMap(({ options, path, words }) => {
    const condition = `-n ${quote(`__conclave_at ${path}`.trim())}`;
    return [
      ...words.map(
        ([word, summary]) => `complete -c conclave -f ${condition} -a ${word} -d ${quote(summary)}`,
      ),
      ...options.map(({ hasValue, help, long, short }) => {
        const shortPart = short === undefined ? '' : ` -s ${short.slice(1)}`;
        const valuePart = hasValue ? ' -r' : '';
        const name = `-l ${long.slice(2)}${shortPart}${valuePart}`;
        return `complete -c conclave ${condition} ${name} -d ${quote(help)}`;
      }),
    ];
  });
  const paths = choices.map(({ path }) => quote(path)).join(' ');
  return `# fish completion of conclave
function __conclave_at
  set -l typed (commandline -opc)[2..-1]
  set -l known ${paths}
  for count in 2 1 0
    test (count $typed) -ge $count; or continue
    set -l path ''
    test $count -gt 0; and set path (string join ' ' $typed[1..$count])
    if contains -- "$path" $known
      test "$path" = "$argv"
      return
    end
  end
  return 1
end
${lines.join('\n')}
`;
}

/** A script that completes the words and options of `commands` in `shell`. */
export function completionScript(shell: Shell, commands: readonly CommandSpec[]): string {
  const choices = choicesOf(commands);
  switch (shell) {
    case 'bash':
      return bash(choices);
    case 'zsh':
      return zsh(choices);
    case 'fish':
      return fish(choices);
  }
}
