import { makeContentHome } from '../../test/support/content-home.ts'
import { startKubo } from '../../test/support/kubo-daemon.ts'
