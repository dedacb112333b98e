/**
 * Every bound of the wire and of what is kept in memory because of it, each with its reason.
 * Sizes are bytes and times are milliseconds unless a name says otherwise.
 */

/** A gossipsub link dies above 64 KiB with the frame around the message; 60 KiB leaves room for it. */
export const MAX_ENVELOPE_BYTES = 60 * 1024

/** About what fits in {@link MAX_ENVELOPE_BYTES} at 53 bytes for the smallest `pin`; bounds work before decoding. */
export const MAX_OPERATIONS = 1_200

/** A CIDv1 of SHA2-512 takes 68 bytes; longer ones are identity CIDs that smuggle content into commands. */
export const MAX_CID_BYTES = 96

/** A pin's name, UTF-8; what Kubo accepts. */
export const MAX_NAME_BYTES = 255

/** Keys and values of a pin's metadata together, UTF-8. */
export const MAX_METADATA_BYTES = 1_024

/** Hints of who holds the content: more only slow down the first dial. */
export const MAX_ORIGINS = 8

/** One multiaddr, in bytes: a circuit address over a WebRTC relay stays below. */
export const MAX_MULTIADDR_BYTES = 256

/** Names of networks and pinsets: short enough for a topic, a file name and a table. */
export const MAX_NAME_LABEL = 64

/** A factor above this asks for more machines than any network this is built for. */
export const MAX_REPLICAS = 1_000

/** Tags a `where` may ask for, and tags a node may announce. */
export const MAX_TAGS = 16

/** A command further ahead of the node's clock is refused for now: it would outrank all that follows. */
export const MAX_AHEAD_MS = 5 * 60_000

/** Two hybrid clocks that tick more often than this in one millisecond do not exist. */
export const MAX_COUNTER = 0xffff_ffff

/** Addresses a presence may list: a host with more has wildcard interfaces to trim. */
export const MAX_ADDRESSES = 16

/** A presence with all its addresses and tags stays far below; bounds the presence table. */
export const MAX_PRESENCE_BYTES = 8 * 1024

/** Pinsets an `unpinned` state may name as still holding the CID. */
export const MAX_HELD_BY = 8

/** Lines read of an authorized_keys or known_nodes file: beyond it is a mistake, not a file of keys. */
export const MAX_KEY_LINES = 10_000

/** Bytes read of an authorized_keys or known_nodes file, for the same reason. */
export const MAX_KEY_FILE_BYTES = 4 * 1024 * 1024

/** One page of a query or sync stream: a stream writer fails past 4 MiB buffered. */
export const MAX_PAGE_BYTES = 1024 * 1024

/** CIDs that one status query may name. */
export const MAX_QUERY_CIDS = 1_000
