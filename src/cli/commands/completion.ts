/** Prints the script that completes command lines. */
import { command } from '../command.ts';
import { completionCall } from '../completion-call.ts';

/**
 * bash parts words at colons and equal signs too, and replaces only what is behind the last one of them: the beginning is
 * taken off the candidates.
 */
const bashScript = `_hnvgw() {
  local line=\${COMP_LINE:0:COMP_POINT} word begun
  local -a answer
  mapfile -t answer < <("\${COMP_WORDS[0]}" ${completionCall} "$line" 2>/dev/null)
  if [[ \${answer[0]-} == files ]]; then
    compopt -o filenames
    word=\${COMP_WORDS[COMP_CWORD]}
    [[ $word == = ]] && word=
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  COMPREPLY=("\${answer[@]:1}")
  word=\${line##*[[:space:]]}
  if [[ $word == *[:=]* ]]; then
    begun=\${word%"\${word##*[:=]}"}
    COMPREPLY=("\${COMPREPLY[@]#"$begun"}")
  fi
}
complete -F _hnvgw hnvgw
`;

export default command({
  name: 'completion',
  summary: 'print the script that completes command lines',
  about: [
    'Completes commands, options, the names of resources and, by asking the node, ids and routing domains.',
  ],
  arguments: { shell: { summary: 'the shell', choices: ['bash'] } },
  options: {},
  examples: [
    { what: 'for this shell', line: 'source <(hnvgw completion bash)' },
    {
      what: 'for all that are opened from now on',
      line: 'hnvgw completion bash > /etc/bash_completion.d/hnvgw',
    },
  ],
  seeAlso: ['hnvgw help'],
  run: async () => {
    process.stdout.write(bashScript);
    return undefined;
  },
});
