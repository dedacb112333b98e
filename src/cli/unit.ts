import { realpathSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Home } from '../config/home.ts'
import { RUN } from './commands/init.ts'
import { shellWord } from './format.ts'

/**
 * A systemd unit that keeps the agent of this home running, with the rights it needs and no more; a Kubo that it starts may write its
 * repository besides. AF_NETLINK is how a program asks for the addresses of its machine.
 */
export function printUnit(home: Home, startsKubo: boolean): string {
  const repo = process.env['IPFS_PATH'] ?? join(homedir(), '.ipfs')
  return `[Unit]
Description=pinsub storage node
After=network-online.target ipfs.service
Wants=network-online.target

[Service]
User=${userInfo().username}
ExecStart=${command()} node --home ${shellWord(home.dir)}
${startsKubo ? `Environment=${shellWord(`IPFS_PATH=${repo}`)}\n` : ''}${isNpx() ? `Environment=npm_config_cache=${home.dir}/npm` : 'ExecReload=/bin/kill -HUP $MAINPID'}
Restart=always
RestartSec=2
KillSignal=SIGTERM
TimeoutStopSec=30
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
ReadWritePaths=${home.dir}${startsKubo ? ` -${repo}` : ''}

[Install]
WantedBy=multi-user.target`
}

function script(): string {
  return realpathSync(process.argv[1] as string)
}

function isNpx(): boolean {
  return script().includes('/_npx/')
}

/** The program as it runs now; the cache of npx does not outlive its next cleaning, so there it is npx again. */
function command(): string {
  if (isNpx()) return `/usr/bin/env ${RUN}`
  return `${shellWord(process.execPath)} ${shellWord(script())}`
}
