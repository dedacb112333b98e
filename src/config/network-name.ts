/** Names for new networks. */

const ADJECTIVES =
  'amber ample azure bold brave brief bright brisk broad bronze calm clear clever cool coral cosy crisp dapper deft early easy fair fast fine fond free fresh gentle glad golden grand green happy hardy honest ivory jolly keen kind light lively lucky mellow merry mild misty modest neat noble plain proud quick quiet rapid royal silent silver smart steady sunny swift tidy warm wise'.split(
    ' '
  )

const ANIMALS =
  'badger bear beaver bison bobcat camel cicada condor coyote crane cricket crow deer dingo dolphin eagle egret falcon ferret finch fox gecko gibbon goose hare hawk hedgehog heron hornet ibex ibis jackal jaguar kestrel kiwi koala lark lemur llama lynx magpie marmot marten mole moose otter owl panda pelican pigeon plover puffin quail rabbit raven robin salmon seal shrew stork swan tiger walrus wombat'.split(
    ' '
  )

/**
 * A name such as `brisk-otter-7f3a09c` of 40 random bits: who does not know it does not meet it, and that two of ten thousand
 * networks share a name has one chance in 20,000. `random` gives that many random bytes.
 */
export function randomNetworkName(random: (bytes: number) => Uint8Array): string {
  const [a = 0, b = 0, ...rest] = random(6)
  const hex = rest.map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${ADJECTIVES[a & 63]}-${ANIMALS[b & 63]}-${hex.slice(0, 7)}`
}
