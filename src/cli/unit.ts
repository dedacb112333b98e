import { realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { Home } from '../config/home.ts'
import { RUN } from './commands/init.ts'
import { shellWord } from './format.ts'

/** A systemd unit that keeps the agent of this home running, with the rights it needs and no more. */
export function printUnit(home: Home): string {
  return `[Unit]
Description=pinsub storage node
After=network-online.target ipfs.service
Wants=network-online.target

[Service]
User=${userInfo().username}
ExecStart=${command()} node --home ${shellWord(home.dir)}
${isNpx() ? `Environment=npm_config_cache=${home.dir}/npm` : 'ExecReload=/bin/kill -HUP $MAINPID'}
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
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
ReadWritePaths=${home.dir}

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
