# Completion of syncmount in fish. In ~/.config/fish/completions/syncmount.fish: syncmount completion fish | source
function __syncmount_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($before[1] complete -- $before[2..-1] "$typed" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$typed"
            case :directories
                __fish_complete_directories "$typed"
            case :nothing
            case '*'
                echo -- $line
        end
    end
end
complete -c syncmount -f -a '(__syncmount_complete)'
