/** What people are told of a node whose answer is left out. */
import { shortNode } from './format.ts'
import type { Output } from './output.ts'

/** Makes what notes it. */
export function leftOut(output: Output): (node: string, reason: string) => void {
  return (node, reason) => output.note(`The answer of ${shortNode(node)} is left out: ${reason}`)
}
