/**
 * Lets calls that come close together go on together, so that what they send fits into one message. While fewer than `few`
 * are under way a call goes on at once; else it waits for the others, `ms` at most.
 */
export function createGather(few: number, ms: number) {
  let underWay = 0
  let turn: Promise<void> | undefined

  return {
    /** Waits for the others, if there are many. Call what it returns once, when the call is done. */
    async enter(): Promise<() => void> {
      underWay += 1
      if (underWay > few) {
        turn ??= new Promise((resolve) =>
          setTimeout(() => {
            turn = undefined
            resolve()
          }, ms)
        )
        await turn
      }
      return () => {
        underWay -= 1
      }
    }
  }
}
