/**
 * Every bound of the wire and of what is kept in memory because of it, each with its reason.
 * Sizes are bytes and times are milliseconds unless a name says otherwise.
 */

/** A gossipsub link dies above 64 KiB with the frame around the message; 60 KiB leaves room for it. */
export const MAX_ENVELOPE_BYTES = 60 * 1024

/** About what fits in {@link MAX_ENVELOPE_BYTES} at 53 bytes for the smallest `pin`; bounds work before decoding. */
export const MAX_OPERATIONS = 1_200

/** Lists and maps within each other: messages need 4; a decoder that recurses must not be sent deeper than its stack. */
export const MAX_NESTING = 16

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

/** Presences that a node says at once for newcomers and changes, beside those at intervals: in calm each is told within 50 ms, so that who asks around misses nobody. */
export const PRESENCE_BURST = 16

/** Between two more of them: whoever subscribes again and again must not make all nodes verify twenty a second. */
export const PRESENCE_AGAIN_MS = 250

/** Command sets that a presence sums up, 90 bytes each; with all else at its largest it stays below {@link MAX_PRESENCE_BYTES}. */
export const MAX_DIGESTS = 32

/** Pinsets an `unpinned` state may name as still holding the CID. */
export const MAX_HELD_BY = 8

/** Lines read of an authorized_keys or known_nodes file: beyond it is a mistake, not a file of keys. */
export const MAX_KEY_LINES = 10_000

/** Bytes read of an authorized_keys or known_nodes file, for the same reason. */
export const MAX_KEY_FILE_BYTES = 4 * 1024 * 1024

/** Bytes read of a config.json: a thousand key lines and addresses stay far below. */
export const MAX_CONFIG_BYTES = 1024 * 1024

/** A key line in an `authorize`: the longest comment, options for some dozen pinsets, and the key. */
export const MAX_KEY_LINE_BYTES = 4 * 1024

/** Commands that a `close` lets stand, 34 bytes each: who has let in a thousand keys closes itself by a file. */
export const MAX_KEPT_COMMANDS = 1_000

/** Envelopes of an author without a pinset: some 3,000 changes of keys; all of them are gone through at each further one. */
export const MAX_ADMIN_BYTES = 1024 * 1024

/** The same of a key that is no admin: nothing of it counts, unless it becomes one. */
export const MAX_PLAIN_ADMIN_BYTES = 64 * 1024

/** Beyond {@link MAX_ADMIN_BYTES}, for commands that only close, revoke and distrust: whoever filled it must not be safe from that. */
export const MAX_ADMIN_CLOSING_BYTES = 1024 * 1024

/** One line of a state file: {@link MAX_ENVELOPE_BYTES} in base64 take 80 KiB, the longest key line as JSON 96 KiB. */
export const MAX_STATE_LINE_BYTES = 128 * 1024

/** One page of a query or sync stream: a stream writer fails past 4 MiB buffered. */
export const MAX_PAGE_BYTES = 1024 * 1024

/** CIDs that one status query may name. */
export const MAX_QUERY_CIDS = 1_000

/** Time between two ack batches of a node, for itself and each node that it knows: all together they speak 200 times a second, half of what a mesh of five carries. */
export const ACK_INTERVAL_PER_NODE_MS = 5

/** Time between two acks of a command of 1,000 operations, less for fewer: such an ack takes 8 KB and every node verifies it. */
export const ACK_INTERVAL_PER_THOUSAND_MS = 500

/** A sender sees news at least this often. */
export const ACK_INTERVAL_MAX_MS = 2_000

/** A command is first spoken of this long after it came, or as soon as all it asks for is done: most small pins need one ack. */
export const ACK_GATHER_MS = 25

/** Batches a quiet node may send at once, so that a single pin is acknowledged without waiting. */
export const ACK_BURST = 8

/** A command that is heard again is acknowledged again at most this often: old messages must not provoke acks. */
export const REPEAT_ACK_MS = 10_000

/** Commands remembered as refused or lately acknowledged; the oldest are forgotten. */
export const MAX_REMEMBERED = 4_096

/**
 * Dials at once to one machine that only presence or a command's origins told of, and that has not answered as who was named: a site of some dozen nodes
 * behind one address is linked at once, and a thousand sybils that name a victim cost it no more than that.
 */
export const MAX_HEARSAY_DIALS = 64

/** One more dial to such a machine each time: what remains of an attack is a connection attempt a second from each node. */
export const HEARSAY_DIAL_MS = 1_000

/** Machines of which is remembered how often they were dialled on hearsay; the one that was dialled longest ago is forgotten. */
export const MAX_HEARSAY_HOSTS = 4_096

/** Commands that wait to be stored; more are ignored until the disk has caught up, and their sender offers them again. */
export const MAX_PENDING_COMMANDS = 1_024

/** One block: bitswap's own limit for a message; larger ones cannot be fetched from any peer. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

/** Links of one block: {@link MAX_BLOCK_BYTES} hold 52,000 that name a hash; more are identity CIDs of next to nothing, 600 bytes each in memory. */
export const MAX_BLOCK_LINKS = 65_536

/** Links of one walk that wait to be followed, 300 MB at most: folders of the largest kind, ten within each other, leave a tenth of it. */
export const MAX_WAITING_LINKS = 524_288

/** Content that a link may carry in itself, as in Kubo: more would be blocks within blocks, and a name as long as what it names. */
export const MAX_IDENTITY_BYTES = 128

/** Links from the root to a block: UnixFS stays below 64; a longer chain costs a round trip a block and is not a file. */
export const MAX_DAG_DEPTH = 65_536

/** Blocks that one pin fetches at a time: fills a link of 50 ms with 256 KiB blocks, and no more than a peer's want-list takes. */
export const WALK_WIDTH = 24

/** Blocks on their way from peers at a time, all pins together: 16 MiB of the usual 256 KiB blocks in memory. */
export const MAX_FETCHES = 64

/** Bytes of blocks that a peer is sent at a time: half of it costs a tenth of the speed. One block at least, and less until it has taken as much. */
export const MAX_TURN_BYTES = 2 * 1024 * 1024

/** Bytes of blocks in memory for all peers that took as much before, as many for new ones, and for those that did not take the last: 128 of the usual blocks. */
export const MAX_SERVED_BYTES = 32 * 1024 * 1024

/** Wants that a peer may leave with us: twenty pins with {@link WALK_WIDTH} each. */
export const MAX_PEER_WANTS = 512

/**
 * Fields of one bitswap message: 2,700 wants that say all they can, where Kubo remembers 1,024 of a peer and our nodes have 1,536 under way.
 * Each may take some 3 µs, a message 50 ms; blocks of two bytes each, 4 MiB of them, would hold a process for seconds and take 1.7 GB.
 */
export const MAX_BITSWAP_FIELDS = 16_384

/** A CID in a bitswap message, as in Kubo, which ignores longer ones; bitswap makes a name of each, and one of 4 MB takes a second and 400 MB. */
export const MAX_BITSWAP_CID_BYTES = 168

/** Messages that wait for a bitswap peer which takes none, wants for the most part, some 100 KB: the oldest go. */
export const MAX_OUTBOX_MESSAGES = 256

/** How long a bitswap peer may take nothing of what it is sent: 256 KiB at 100 kbit/s, on a link that tells only at the end. Nobody else waits for it meanwhile. */
export const SEND_STALL_MS = 20_000

/** Bytes left free on the disk: the databases beside the blocks must go on writing. */
export const DISK_RESERVE_BYTES = 64 * 1024 * 1024

/** One question: {@link MAX_QUERY_CIDS} CIDs of the longest kind, or as many command ids, with room for the rest. */
export const MAX_QUERY_BYTES = 112 * 1024

/** How long a stranger's question is safe from being ended for another's, where strangers have no more room: most take less than a second. */
export const STRANGER_QUERY_MS = 10_000

/** Commands that one question for acks may name. */
export const MAX_QUERY_COMMANDS = 1_000

/** Rows of one page: the smallest take over 80 bytes, so more do not fit in {@link MAX_PAGE_BYTES}. */
export const MAX_PAGE_ROWS = 13_000

/** Pages of one answer: above a million rows the asker names CIDs or a pinset. */
export const MAX_PAGES = 1_000

/** Rows of one known node that a sender keeps: as many as {@link MAX_PAGES} of the usual pages carry. */
export const MAX_ROWS = 1_000_000

/** Of these for each CID that was asked for: one for each pinset that it is in, more than anybody has. */
export const MAX_CID_ROWS = 1_000

/** The same of one node where nobody is named, 150 MB in memory; all of them together have {@link MAX_ROWS}. Who has more pins names his nodes. */
export const MAX_UNVOUCHED_ROWS = 100_000

/** The same of one node that nobody named where others are named: it is shown and counts for nothing. */
export const MAX_STRANGER_ROWS = 10_000

/** And of all these together. */
export const MAX_STRANGERS_ROWS = 100_000

/** A refusal over a stream: a command id, a network name and a code. */
export const MAX_REFUSAL_BYTES = 512

/**
 * One gossip frame that we read. A message in it is held to {@link MAX_ENVELOPE_BYTES}; but the answer to a peer that asks
 * for what it missed (IWANT) packs all of it into one frame, and a frame above the bound kills the link.
 */
export const MAX_GOSSIP_FRAME_BYTES = 2 * 1024 * 1024

/** Fields of one gossip frame: 1,000 messages, 10,000 ids that are offered, and as many asked for. Each may take a decoder a microsecond. */
export const MAX_GOSSIP_FIELDS = 32_768

/** Messages of gossip that are verified before the rest of the program has its turn: 4 ms, with the envelopes in them 7, and on a slow machine 20. */
export const MAX_GOSSIP_TURN = 32

/** How long a peer that pruned us from a mesh is not grafted again, at most: what every node of this protocol asks for. It is remembered when the peer is gone. */
export const MAX_GRAFT_BACKOFF_MS = 60_000

/** Bytes published to a peer that wait for it, from which on it is waited for: a quarter of a second at 16 Mbit/s. Its stream breaks at eight times that. */
export const MAX_GOSSIP_WAITING_BYTES = 512 * 1024

/** How long it is waited for where others have room: at 240 kbit/s it has made room for the largest message by then. */
export const SLOW_PEER_WAIT_MS = 2_000

/** How long a peer that was waited for in vain is not waited for again: it must not hold up what others are told more than now and then. */
export const SLOW_PEER_MS = 60_000

/**
 * Messages that are of no use here, a second, through one link and without end: what a mesh carries. An honest peer forwards what its own
 * keys let in, and all of that may be nothing to us; each message comes once, so more than the mesh carries is made up by the peer.
 */
export const MAX_USELESS_PER_SECOND = 400

/** As many of these as may come at once and are still looked at: two seconds of them, as after a pause. What is above is dropped unread. */
export const MAX_USELESS_BURST = 800

/** Useless messages in hand from which on the link is closed: a peer that merely was in a hurry has stopped before. */
export const MAX_USELESS_BACKLOG = 1_600

/** How much a useless message counts that the peer published itself: one node acks 200 times a second at most, {@link ACK_INTERVAL_PER_NODE_MS}. */
export const USELESS_OWN_COST = 2

/** How long a peer that was cut off is kept out, by its id: it comes back mended, or costs one handshake and one backlog a minute. */
export const KEEP_OUT_MS = 60_000

/** Peers that are kept out at a time, and links whose useless messages are counted: beyond it the oldest are forgotten. */
export const MAX_WATCHED_PEERS = 4_096

/** Acks and presences of nodes that nobody named, relayed a second for one link where others are named: sixteen nodes that pin all the time. */
export const STRANGER_WORDS_PER_LINK = 25

/** The same for all links together: a quarter of what a mesh carries. */
export const STRANGER_WORDS = 100

/** The same where nobody is named and everybody may be a node: half of what a mesh carries for one link. */
export const UNVOUCHED_WORDS_PER_LINK = 200

/** And for all links together: what a mesh carries. */
export const UNVOUCHED_WORDS = 400

/** Newest acks remembered, one for each node and command, so that older ones are not relayed again: three minutes of a busy mesh, 3 MB. */
export const MAX_REMEMBERED_ACKS = 16_384

/** How often what was learned of peers that went is forgotten: each send comes from a new one, and {@link MAX_ADDRESS_DIALS} from one address in a second leave 1 MB by then. */
export const FORGET_PEERS_MS = 10_000

/** Connections: about 100 KB each at rest, so 300 stay within what an idle agent may use. */
export const MAX_CONNECTIONS = 300

/** Of these with peers that are no known nodes; the rest is kept for known ones, which must get in while strangers crowd. */
export const MAX_STRANGER_CONNECTIONS = 250

/** Of these from one IP address, or one IPv6 network of 64 bits: a fleet behind NAT, or a script that sends in parallel, and still not all there are. */
export const MAX_ADDRESS_CONNECTIONS = 100

/** Connections with one peer: two that dial each other at once have two, and dial anew before the old ones are found dead. */
export const MAX_PEER_CONNECTIONS = 4

/** Handshakes under way at a time; with 10, as libp2p has it, a few dead dialers keep everyone out. One that was not begun costs 10 KB. */
export const MAX_HANDSHAKES = 500

/** Of these from one IP address or IPv6 network: a fleet behind NAT dials 40 at once; dead dialers of nine addresses leave room for others. */
export const MAX_ADDRESS_HANDSHAKES = 50

/**
 * How long whoever dials may take for the first bytes, which every implementation sends at once: enough for one that is lost, twice, and for
 * a trip over a satellite.
 */
export const FIRST_BYTES_MS = 2_500

/** Dials a second that are taken from one IP address or IPv6 network: libp2p takes 5; a fleet behind NAT, or a script that sends in parallel, dials in tens. */
export const MAX_ADDRESS_DIALS = 100

/**
 * Yamux pings of a connection, and streams of the other side that end by a reset, whoever resets them. Implementations ping once in 10 s at
 * most, and reset what failed or is not wanted any more; what succeeds, as each bitswap message of Kubo on a stream of its own, is not counted.
 */
export const MAX_LINK_NOISE = 500

/** How many of these run out of the count a second. */
export const MAX_LINK_NOISE_PER_SECOND = 100

/**
 * What may be on its way on one stream, and so the longest yamux frame: what a paused stream may buffer; with 16 MiB, as libp2p has it, a
 * slow reader's stream is reset.
 */
export const MAX_WINDOW_BYTES = 4 * 1024 * 1024

/** Pieces in which one yamux frame may come, encrypted each: of 4 KiB and more on average, where other implementations send 16 and 64. Pieces of a byte take 200 in memory. */
export const MAX_FRAME_PIECES = 1_024

/** Bytes read of a stream from which on its sender is told that it may send as many more: half of the window at the beginning, as in go and rust, so the other half never runs dry. */
export const MIN_WINDOW_UPDATE_BYTES = 128 * 1024

/** Streams of a connection for which that is put off; beyond it the one that waits longest is told. Above the streams that may be open. */
export const MAX_HELD_UPDATES = 2_048

/** Pings of one stream that are not answered yet because the other side reads no answers: 128 of 32 bytes, where implementations wait for each. */
export const MAX_ECHO_BYTES = 4 * 1024

/** Presences kept: far above any network this is built for, and 8 MiB at their largest. */
export const MAX_PRESENCES = 1_024

/**
 * Presences of nodes that nobody named, told to whoever asks where others are named: two hundred of the usual ones. Further ones are heard
 * of by gossip; without a bound a question of 60 bytes is answered with a whole table that strangers have filled.
 */
export const MAX_TOLD_STRANGER_BYTES = 128 * 1024

/** The same where nobody is named and everybody may be a node: some eight hundred of the usual ones, more than senders and nodes can link. */
export const MAX_TOLD_UNVOUCHED_BYTES = 512 * 1024

/** How long ago a node may be said to have been heard: a year; who was silent longer is told as silent since then. */
export const MAX_PRESENCE_AGE_MS = 365 * 86_400_000

/** Commands a sender's ledger keeps; beyond it the oldest go, with their receipts. */
export const LEDGER_MAX_COMMANDS = 100_000

/** Bytes of envelopes a sender's ledger keeps, with the same rule. */
export const LEDGER_MAX_BYTES = 64 * 1024 * 1024

/** Commands that no node accepted and that a sender offers again on its next run. */
export const MAX_OFFERED_AGAIN = 100

/** Nodes whose words on one command a sender keeps, and counts: strangers could sign as many as they like. */
export const MAX_TRACKED_NODES = 1_000

/** A block up to this size is made durable by the database's group commit, and its file synced later: a sync a block costs more. */
export const MAX_JOURNALED_BYTES = 16 * 1024

/** Envelopes of one author that a node keeps: some two million commands. Beyond it the author may only unpin. */
export const MAX_AUTHOR_BYTES = 512 * 1024 * 1024

/** What unpins may take beyond {@link MAX_AUTHOR_BYTES}: enough to let go of all that was asked for, and no more. */
export const MAX_AUTHOR_UNPIN_BYTES = 64 * 1024 * 1024

/** Updates of updates that are followed: a site that was replaced so often has let go of the first long ago. */
export const MAX_UPDATE_CHAIN = 1_000

/** How long a command that holds no register any more is kept to be answered: a sender that was away for a night learns what became of it. */
export const PASSED_MS = 24 * 3_600_000

/** Commands without a register that are kept within that time: a key that says the same again and again fills no disk. */
export const MAX_PASSED = 10_000

/** What the log keeps of commands that are gone otherwise, with their last states; beyond it the oldest go. Some 150,000 single pins, years for most. */
export const MAX_HISTORY_BYTES = 64 * 1024 * 1024

/** Refusals the log keeps; beyond it the oldest go. At 200 bytes each they take 10 MB. */
export const MAX_REFUSALS = 50_000

/** Time between two writes of refusals: a flood costs one commit in it. */
export const REFUSALS_MS = 10_000

/** Refusals told one by one within {@link REFUSALS_MS}; more are only counted, so that a flood needs hours to fill {@link MAX_REFUSALS}. */
export const MAX_REFUSALS_TOLD = 32

/** Bytes of nodes' answers that one line of the log carries: some 2,000 of the usual ones, and two dozen of the largest. */
export const MAX_LOG_RECEIPT_BYTES = 1024 * 1024

/** One line of an exported log: a command of {@link MAX_OPERATIONS} with names in the longest JSON, its envelope and {@link MAX_LOG_RECEIPT_BYTES} of answers in base64. */
export const MAX_LOG_LINE_BYTES = 4 * 1024 * 1024

/** Commands found superseded or refused that catching up does not fetch again; the oldest are forgotten. */
export const MAX_SKIPPED = 65_536

/** Sets that one sync message lists, 154 bytes each at most; what is more takes further messages. */
export const MAX_SYNC_SETS = 1_000

/** One ask of a sync stream: {@link MAX_SYNC_SETS} sets with the longest names, with room for the rest. */
export const MAX_SYNC_ASK_BYTES = 160 * 1024

/** One message of a reconciliation: 100 differences in a million take a fifth of it at their widest, and ids 4,000 at a time. */
export const MAX_SYNC_MESSAGE_BYTES = 128 * 1024

/** Commands that one ask may name: 34 KB of ids, and some 300 KB of single pins, so that one page comes while another is stored. */
export const MAX_SYNC_WANT = 1_000

/** Ids of one page of a full list, 44 bytes each at most: they fit in {@link MAX_PAGE_BYTES}. */
export const MAX_SYNC_IDS = 20_000

/** Asks that one sync stream carries: a pull that needs more goes on in another. */
export const MAX_SYNC_ASKS = 4_096

/** One answer of a sync stream, whole: a page at 140 kbit/s. A peer that sends a byte now and then is no reason to wait. */
export const SYNC_ANSWER_MS = 60_000

/** One sync stream, as the node that answers sees it: whoever trickles does not hold a place for ever. */
export const MAX_SYNC_STREAM_MS = 10 * 60_000

/** One pull: from then on nothing new is asked for in it. Half of {@link MAX_SYNC_STREAM_MS}, so that it ends in order. */
export const MAX_PULL_MS = 5 * 60_000

/** Bytes of one pull, both ways: 4,000 of the largest commands; what comes is stored page by page, so it costs no memory. */
export const MAX_PULL_BYTES = 256 * 1024 * 1024

/** Sets that differ, of one pull: far above what any network has, and some 10 MB where a peer makes them up. */
export const MAX_PULL_SETS = 20_000

/** Commands that one pull asks for: then other peers have their turn, and the rest is compared anew. */
export const MAX_PULL_COMMANDS = 50_000

/** Messages of the reconciliation of one set: 1,048,576 ids at {@link MAX_SYNC_MESSAGE_BYTES}, which wait in memory. */
export const MAX_SYNC_ROUNDS = 256

/** Rounds of a reconciliation, one after the other, that name no command: 16 ranges a round find any in a set of 2^53 in 14. */
export const MAX_SYNC_EMPTY_ROUNDS = 32

/** Commands of one pull that a peer names and then does not have: an author may have replaced that many in the meantime, hardly more. */
export const MAX_SYNC_MISSING = 1_000

/** Sets of one pull that a peer announces as different and then shows no difference in: it takes an author who collides sums, or a liar. */
export const MAX_SYNC_UNPROVEN = 64

/** Between two full lists of a set that are asked of a peer: with sums that were made to collide they cost 40 bytes a command. */
export const FULL_LIST_MS = 3_600_000

/** Ranges of a reconciliation that wait to be asked about, 150 bytes each: three million items that mostly differ leave 17,000. */
export const MAX_SYNC_RANGES = 32_768
