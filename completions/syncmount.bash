# Completion of syncmount in bash. In ~/.bashrc: source <(syncmount completion bash)
_syncmount() {
  local rest=${COMP_LINE:0:COMP_POINT} word trimmed line and=nothing kept= i
  local -a words=() offered=()
  # bash cuts words at : and = too. Here they are whole: what no blank parts belongs together.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed=${rest#"${rest%%[![:space:]]*}"}
    word=${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$trimmed
    if ((i > 0)) && [[ $trimmed == "$rest" ]]; then words[-1]+=$word; else words+=("$word"); fi
    rest=${trimmed:${#word}}
  done
  while IFS= read -r line; do
    if [[ $line == :* ]]; then and=${line#:}; else offered+=("${line%%$'\t'*}"); fi
  done < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
  # readline replaces only what is behind the last : or =.
  word=${words[-1]}
  [[ $word == *[:=]* ]] && kept=${word%"${word##*[:=]}"}
  COMPREPLY=()
  case $and in
    files) mapfile -t COMPREPLY < <(compgen -f -- "${word#"$kept"}"); compopt -o filenames 2>/dev/null ;;
    directories) mapfile -t COMPREPLY < <(compgen -d -- "${word#"$kept"}"); compopt -o filenames 2>/dev/null ;;
  esac
  for word in "${offered[@]}"; do
    word=${word#"$kept"}
    [[ $word == *[[:space:]\'\"\\\$\&\;\(\)]* ]] && printf -v word %q "$word"
    COMPREPLY+=("$word")
  done
  # More follows behind NAME: and behind option=.
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _syncmount syncmount
