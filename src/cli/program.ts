/** The command line: every command, its options and its help. What a command does is loaded when it runs. */
import { Argument, Command, Option } from 'commander'
import type { Shell } from './commands/completion.ts'
import type { Context } from './context.ts'

/** Runs a command's handler once the settings are known; set by `main`. */
export type Run = (flags: Readonly<Record<string, unknown>>, handler: (context: Context) => Promise<number>) => Promise<void>

const EXAMPLES: Readonly<Record<string, string>> = {
  init: `
  pinsub init                              a home, a key and a network of your own
  pinsub init --bootstrap 203.0.113.1      once the first node runs`,
  node: `
  pinsub node --network blue-otter-7f3a91 --authorize 'admin ssh-ed25519 AAAA… you@laptop'
  pinsub node --bootstrap 203.0.113.1 --backend kubo
  pinsub node --start-daemon 'ipfs daemon'
  pinsub node --listen /ip4/127.0.0.1/tcp/0 --json
  pinsub node --print-unit > /etc/systemd/system/pinsub.service`,
  add: `
  pinsub add site/
  pinsub add report.pdf --name report --wait 2
  cid=$(pinsub add site/)                  stdout is the CID alone`,
  'send pin': `
  pinsub send pin bafybeigdyr…zdi --name docs
  ipfs pin ls --type=recursive -q | pinsub send pin - --pinset backup
  pinsub send pin QmYwAP… --replicas 2 --timeout 5m
  pinsub send pin bafybei… --detach        do not wait for the content`,
  'send unpin': `
  pinsub send unpin bafybeigdyr…zdi
  pinsub send unpin - < cids.txt`,
  status: `
  pinsub status                            everything
  pinsub status bafybeigdyr…zdi --check    have every node read all of it first
  pinsub status bafybeigdyr…zdi --json`,
  ls: `
  pinsub ls --pinset backup`,
  nodes: `
  pinsub nodes
  pinsub nodes trust 12D3KooW…
  pinsub nodes distrust 12D3KooW…`,
  'keys gen': `
  pinsub keys gen                             id_ed25519 in the home
  pinsub keys gen ci-key --comment ci@build   for a build job: no passphrase, keep it as a secret
  pinsub keys gen ~/.ssh/pinsub --passphrase`,
  keys: `
  pinsub keys show                         the line for authorized_keys
  pinsub keys show --key agent:you@laptop
  pinsub keys add 'pinset="site" ssh-ed25519 AAAA… ci@build'
  pinsub keys remove ci@build              by comment, fingerprint or line
  pinsub keys revoke SHA256:Qm3vT
  pinsub keys check new_authorized_keys    what it would do to this node
  pinsub keys revoke SHA256:… --everywhere the same by message, on every node (add, remove too)
  pinsub keys rotate                       a new signing key in place of this one, on every node
  pinsub keys list`,
  adopt: `
  pinsub adopt                             what a revoked key had pinned is yours from now on`,
  'keys rotate': `
  pinsub keys rotate                       run it again where it was interrupted`,
  log: `
  pinsub log                               the last 50, on a node or on your laptop
  pinsub log --since 24h --op unpin        who let go of what
  pinsub log --refused --follow
  pinsub log --json | gzip > log.ndjson.gz
  gunzip -c log.ndjson.gz | pinsub log --verify -`,
  'state export': `
  pinsub state export > net.ndjson         beside a running node, too
  pinsub state export | gzip > net.ndjson.gz
  pinsub state export /mnt/usb/net.ndjson  a new file, never over another`,
  'state import': `
  pinsub state import net.ndjson           into a home whose node does not run
  gunzip -c net.ndjson.gz | pinsub state import -
  pinsub --home /srv/pinsub state import net.ndjson`,
  show: `
  pinsub show 3fb2a1c0                     what was said: by whom, when, in which pinset
  pinsub show 3fb2a1c0 --ssh --out proof   for somebody who has ssh-keygen and not pinsub`,
  demo: `
  pinsub demo
  pinsub demo ~/pictures`,
  completion: `
  pinsub completion bash > ~/.local/share/bash-completion/completions/pinsub
  pinsub completion zsh > "\${fpath[1]}/_pinsub"
  pinsub completion fish > ~/.config/fish/completions/pinsub.fish`
}

/** One value each time, repeated to give more: a variadic option would swallow the arguments behind it. */
function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value]
}

function many(flags: string, text: string): Option {
  return new Option(flags, text).argParser(collect)
}

function onNetwork(command: Command): Command {
  return command
    .option('--network <name>', 'the network (default: the one in config.json)')
    .addOption(many('--bootstrap <address>', 'a node to begin with: IP, IP:PORT or multiaddr; repeatable'))
    .option('--swarm-key <file>', "the key of a private network, in Kubo's format (default: a network that all can join)")
}

function signed(command: Command): Command {
  return command
    .option('--key <file>', 'what signs: OpenSSH Ed25519 key, agent:COMMENT or agent:SHA256:… (default: id_ed25519 in the home)')
    .option('--key-passphrase-file <file>', 'its first line is the passphrase of the key (default: the terminal is asked)')
}

function awaited(command: Command): Command {
  return command
    .option('--wait <n|all>', 'how many nodes must acknowledge (default: --replicas, else all)')
    .option('--timeout <time>', 'give up after this long without progress (default: 60s)')
}

/** For commands that change this home, or with the flag, by a signed message, every node. */
function everywhere(command: Command): Command {
  return awaited(signed(onNetwork(command.option('--everywhere', 'say it to every node, signed by a key with admin there'))))
}

/** In this home's file, or by message. */
function keyCommands({ everywhere: all }: { readonly everywhere?: boolean }) {
  return all === true ? import('./commands/keys-everywhere.ts') : import('./commands/keys-edit.ts')
}

function pinning(command: Command): Command {
  return command
    .option('--name <text>', 'a name for listings')
    .option('--pinset <name>', 'the pinset (default: default)')
    .option('--replicas <n>', 'replication factor, signed into the command')
}

/** Builds the program. */
export function createProgram(run: Run, version: string): Command {
  const program = new Command('pinsub')
    .description('Pin IPFS content on many machines with signed commands over libp2p gossipsub.')
    .version(version, '-V, --version')
    .option('--home <dir>', 'where keys, settings and state are (default: ~/.pinsub, PINSUB_HOME)')
    .option('--json', 'print one JSON object a line')
    .option('--verbose', 'say more, and show stack traces')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
First use:
  pinsub init                 on your laptop; prints the line to run on each server
  pinsub init --bootstrap IP  once the first server runs
  pinsub add PATH             import, pin everywhere, count the replicas

Every option can be set as PINSUB_<OPTION> or in config.json. Exit codes: 0 done, 1 local error, 2 usage,
3 too few replicas in time, 4 refused, 5 no node reached, 130 interrupted.`
    )

  const command = (parent: Command, usage: string, text: string): Command => {
    const made = parent.command(usage).description(text)
    const examples = EXAMPLES[parent === program ? made.name() : `${parent.name()} ${made.name()}`]
    return examples === undefined ? made : made.addHelpText('after', `\nExamples:${examples}`)
  }

  signed(onNetwork(command(program, 'init', 'make what is missing in the home and say what to do next'))).action((_, self: Command) =>
    run(self.optsWithGlobals(), async (context) => (await import('./commands/init.ts')).init(context))
  )

  onNetwork(command(program, 'node', 'run a storage node'))
    .addOption(many('--listen <multiaddr>', 'where to listen (default: TCP 4101 of all addresses); repeatable'))
    .addOption(many('--announce <multiaddr>', 'tell others this address instead; repeatable'))
    .option('--authorized-keys <file>', 'who may command (default: authorized_keys in the home)')
    .addOption(many('--authorize <line>', 'a key that may command besides; repeatable'))
    .addOption(new Option('--backend <kind>', 'where pins are kept').choices(['auto', 'helia', 'kubo']))
    .option('--kubo-api <url>', "Kubo's RPC (default: http://127.0.0.1:5001)")
    .option('--start-daemon <command>', 'start Kubo with this shell command while it does not answer')
    .addOption(many('--tag <k=v>', 'a tag others can ask for; repeatable'))
    .option('--capacity <size>', 'space for the embedded storage, as 200GB (default: what the disk has)')
    .option('--mdns', 'find and be found on the local network')
    // Without the positive one commander would take `true` for given.
    .addOption(new Option('--remote-keys').hideHelp())
    .option('--no-remote-keys', 'let no admin change keys and known nodes by message')
    .option('--print-unit', 'print a systemd unit and exit')
    .action((flags: { printUnit?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/node.ts')).node(context, flags))
    )

  awaited(
    pinning(signed(onNetwork(command(program, 'add <path>', 'import a file or folder, pin it everywhere, serve it until it is held'))))
  )
    .option('--hidden', 'import files whose names start with a dot too')
    .action((path: string, flags: { name?: string; hidden?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/add.ts')).add(context, path, flags))
    )

  const send = program.command('send').description('publish a signed command')
  awaited(pinning(signed(onNetwork(command(send, 'pin <cid...>', 'ask every node that obeys you to hold CIDs (- reads them from stdin)')))))
    .addOption(many('--origin <multiaddr>', 'a peer (with /p2p) that has the content; repeatable'))
    .option('--detach', 'end at the first node that accepted')
    .action((cids: string[], flags: object, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/send.ts')).send(context, 'pin', cids, flags))
    )
  awaited(signed(onNetwork(command(send, 'unpin <cid...>', 'ask every node that obeys you to let go of CIDs (- reads them from stdin)'))))
    .option('--pinset <name>', 'the pinset (default: default)')
    .option('--detach', 'end at the first node that accepted')
    .action((cids: string[], flags: object, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/send.ts')).send(context, 'unpin', cids, flags))
    )

  signed(onNetwork(command(program, 'status [cid...]', 'how each node stands with CIDs, or with all')))
    .option('--wait <n|all>', 'how many replicas are enough (default: all nodes)')
    .option('--check', 'have every node look into its storage first')
    .action((cids: string[], flags: { check?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/status.ts')).status(context, cids, flags))
    )

  signed(onNetwork(command(program, 'ls', 'what is wanted on the network')))
    .option('--pinset <name>', 'only this pinset')
    .action((flags: { pinset?: string }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/ls.ts')).ls(context, flags))
    )

  const nodes = signed(onNetwork(command(program, 'nodes', 'who is there'))).action((_, self: Command) =>
    run(self.optsWithGlobals(), async (context) => (await import('./commands/nodes.ts')).nodes(context))
  )
  for (const [op, text] of [
    ['trust', 'count these nodes as replicas (known_nodes)'],
    ['distrust', 'count them no more']
  ] as const) {
    everywhere(command(nodes, `${op} <peer...>`, text)).action((peers: string[], flags: { everywhere?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => {
        const commands = await import('./commands/nodes.ts')
        return flags.everywhere === true ? commands.trustEverywhere(context, op, peers) : commands[op](context, peers)
      })
    )
  }

  awaited(signed(onNetwork(command(program, 'adopt', 'pin in your own name what is held and nobody who counts wants'))))
    .option('--pinset <name>', 'only this pinset')
    .action((flags: { pinset?: string }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/adopt.ts')).adopt(context, flags))
    )

  const keys = command(program, 'keys', 'the signing key, and who may command this node')
  command(keys, 'gen [file]', 'make a signing key; encrypted with --passphrase or --key-passphrase-file')
    .option('--comment <text>', 'what names the key in lists (default: you@machine)')
    .option('--passphrase', 'ask for a passphrase, twice')
    .option('--key-passphrase-file <file>', 'its first line is the passphrase of the new key')
    .action((file: string | undefined, flags: { passphrase?: boolean; comment?: string }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/keys.ts')).gen(context, file, flags))
    )
  signed(command(keys, 'show', 'print the public line of the signing key')).action((_, self: Command) =>
    run(self.optsWithGlobals(), async (context) => (await import('./commands/keys.ts')).show(context))
  )
  command(keys, 'list', 'who may command this node')
    .option('--authorized-keys <file>', 'the file (default: authorized_keys in the home)')
    .action((_, self: Command) => run(self.optsWithGlobals(), async (context) => (await import('./commands/keys-list.ts')).list(context)))
  const inFile = (command: Command): Command =>
    command.option('--authorized-keys <file>', 'the file (default: authorized_keys in the home)')
  const edit = (verb: 'add' | 'remove' | 'revoke', usage: string, text: string): Command => everywhere(inFile(command(keys, usage, text)))
  edit('add', 'add <line...>', 'let a key command this node, or with --everywhere all').action(
    (lines: string[], flags: { everywhere?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await keyCommands(flags)).add(context, lines))
  )
  edit('remove', 'remove <key...>', 'close a key: take its line away').action(
    (names: string[], flags: { everywhere?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await keyCommands(flags)).remove(context, names))
  )
  edit('revoke', 'revoke <key...>', 'void a key: put @revoked before its line')
    .option('--drop', 'with --everywhere: let go of what only it had pinned')
    .action((names: string[], flags: { everywhere?: boolean; drop?: boolean }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await keyCommands(flags)).revoke(context, names, flags))
    )
  awaited(
    signed(onNetwork(command(keys, 'rotate', 'replace the signing key on every node: a new one is let in, the old one closed')))
  ).action((_, self: Command) => run(self.optsWithGlobals(), async (context) => (await import('./commands/rotate.ts')).rotate(context)))

  inFile(command(keys, 'check [file]', 'what a changed file would do to this node; exit 1 if a line of it is broken')).action(
    (file: string | undefined, _, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/keys-check.ts')).check(context, file))
  )

  command(program, 'log', 'who commanded what and when, and what became of it, as this home knows it')
    .option('--since <time>', 'from this time on: 2026-11-01, 2026-11-01T09:30:00Z, or 24h for so long ago')
    .option('--until <time>', 'before this time')
    .option('--author <key>', 'of one key: SHA256:… or its beginning, or the comment of its line')
    .option('--cid <cid>', 'about this CID')
    .option('--pinset <name>', 'in this pinset')
    .addOption(new Option('--op <kind>', 'with an operation of this kind').choices(['pin', 'unpin', 'update', 'admin']))
    .option('--refused', 'what was refused, whole or in part')
    .addOption(new Option('--source <source>', 'what the agent was told, or what was sent from here').choices(['node', 'sender']))
    .option('--limit <n>', 'the last so many (default: 50; with --json, --since or --until all)')
    .option('-f, --follow', 'go on with what comes')
    .option('--verify <file>', 'check an exported log instead, without a network (- reads stdin)')
    .action((flags: object, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/log.ts')).log(context, flags))
    )

  command(program, 'show <command-id>', 'a command that was sent from this home or that its node accepted')
    .option('--ssh', 'export it for ssh-keygen -Y verify, and print how to run that')
    .option('--out <dir>', 'where to, with --ssh (default: the current folder)')
    .action((id: string, flags: { ssh?: boolean; out?: string }, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/show.ts')).show(context, id, flags))
    )

  const state = command(program, 'state', 'all that this node was told, as one file')
  command(state, 'export [file]', 'write it to a new file, or to stdout').action((file: string | undefined, _, self: Command) =>
    run(self.optsWithGlobals(), async (context) => (await import('./commands/state.ts')).exportState(context, file))
  )
  command(state, 'import <file>', 'take such a file over into this home (- reads stdin)').action((file: string, _, self: Command) =>
    run(self.optsWithGlobals(), async (context) => (await import('./commands/state.ts')).importFile(context, file))
  )

  command(program, 'demo [path]', 'three nodes and a sender on this machine, on real files, then cleaned up').action(
    (path: string | undefined, _, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/demo.ts')).demo(context, path))
  )

  command(program, 'completion', 'print a completion script for bash, zsh or fish')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell, _, self: Command) =>
      run(self.optsWithGlobals(), async (context) => (await import('./commands/completion.ts')).completion(context, shell, program))
    )
  return program
}
