//! What only SQLite can be asked: bad rows, a changed log, full disks, modes, and who may open the file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process};

use hourgate_core::{command::Command, event::Note, id::RequestId, time::Clock};
use hourgate_store::{
    Credential, CredentialChange, CredentialKind, Principal, Store, StoreError, TransactError,
    sqlite::{Open, OpenError, OsMint, SqliteStore, verify},
};
use rusqlite::Connection;
use uuid::Uuid;

use crate::{
    credentials::{credential, note},
    fixture::{
        Fixture, HandClock, LOG_KEY, Sqlite, act, agree, ask, minutes, open, origin, prepare,
        put_network, put_nic, register, try_act,
    },
};

/// A store with a little of everything, closed; five records and more in its log.
async fn written() -> (Sqlite, std::sync::Arc<HandClock>) {
    let (place, clock) = (Sqlite::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    for number in 0..3 {
        let asked = ask(&store, number, &format!("p{number}"), &[("web", 22), ("db", 22)]);
        act(&store, Command::Request(asked)).await;
    }
    act(&store, Command::End { request: RequestId::mint(2), only: None }).await;
    (place, clock)
}

/// The same, with a network and two interfaces in it.
async fn networked() -> (Sqlite, std::sync::Arc<HandClock>) {
    let (place, clock) = written().await;
    let store = place.open(&clock);
    act(&store, put_network(&store, "net", "10.0.0.0/24")).await;
    act(&store, put_nic(&store, "one", "net")).await;
    act(&store, put_nic(&store, "two", "net")).await;
    (place, clock)
}

fn raw(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    db
}

#[tokio::test]
async fn rows_that_break_a_rule_are_refused_by_the_database() {
    let (place, _) = networked().await;
    let db = raw(&place.path());
    let bad = [
        (
            "an address of two VMs",
            "UPDATE vm_address SET address = '10.0.0.4' WHERE address = '10.0.0.5'",
        ),
        (
            "a port of two policies",
            "INSERT INTO rule SELECT vm, port, policy, 7, protocol, form, sources, longest, approval, sessions, widest_v4, widest_v6, other_addresses, exceptions, denies, sign_in FROM rule LIMIT 1",
        ),
        ("port 0", "UPDATE rule SET port = 0"),
        ("port 65536", "UPDATE access SET port = 65536"),
        ("longer than 24 h", "UPDATE rule SET longest = 86400000000001"),
        ("a rule without sources", "UPDATE rule SET sources = ''"),
        ("a rule of no policy", "UPDATE rule SET policy = 'none'"),
        ("a VM's name unfolded", "UPDATE vm SET key = upper(key)"),
        ("a grant without an end", "UPDATE access SET until = NULL WHERE stage = 'granted'"),
        ("an end without a reason", "UPDATE access SET reason = NULL WHERE stage = 'ended'"),
        (
            "closed but running",
            "UPDATE access SET closed = 1, closed_by = 'x' WHERE stage = 'granted'",
        ),
        ("settled but running", "UPDATE access SET settled = 1 WHERE stage = 'granted'"),
        (
            "an ended access revived",
            "UPDATE access SET stage = 'granted', ended = NULL, reason = NULL, settled = 0 WHERE stage = 'ended'",
        ),
        ("an end rewritten", "UPDATE access SET ended = ended + 1 WHERE stage = 'ended'"),
        ("an ended access with a rule", "UPDATE access SET rules = '[1]' WHERE stage = 'ended'"),
        ("an empty list of rules", "UPDATE access SET rules = '[]' WHERE stage = 'granted'"),
        ("an empty list of denies", "UPDATE rule SET denies = '[]'"),
        ("another address", "UPDATE access SET addresses = '10.0.0.4' WHERE stage = 'granted'"),
        ("another source", "UPDATE access SET source = '*' WHERE stage = 'granted'"),
        ("a running access deleted", "DELETE FROM access WHERE stage = 'granted'"),
        (
            "an access of no request",
            "INSERT INTO access SELECT 999, vm, port, position, vm_spelled, instance, source, window, window_nanos, stage, start, since, until, until_boot, until_nanos, ended, reason, reason_text, opened, opened_by, closed, closed_by, settled, addresses, rules, mapped FROM access LIMIT 1",
        ),
        ("a record rewritten", "UPDATE log SET body = x'00' WHERE seq = 1"),
        ("a record deleted", "DELETE FROM log WHERE seq = 3"),
        (
            "a gap",
            "INSERT INTO log SELECT seq + 100, version, body, hash, seal FROM log WHERE seq = 1",
        ),
        ("personal data rewritten", "UPDATE personal SET text = 'somebody else'"),
        ("no head", "DELETE FROM head"),
        ("a network in use deleted", "DELETE FROM document WHERE kind = 'virtualNetworks'"),
        ("a subnet in use deleted", "DELETE FROM document_part WHERE key LIKE '%/subnets/a'"),
        ("an address of two interfaces", "UPDATE document_address SET address = '10.0.0.4'"),
        (
            "an interface of two machines",
            "UPDATE document_interface SET interface = (SELECT min(interface) FROM document_interface)",
        ),
        (
            "a reference to nothing",
            "INSERT INTO document_reference SELECT key, 'none' FROM document LIMIT 1",
        ),
        ("a version back", "UPDATE document SET version = version - 1"),
        ("another version than its text", "UPDATE document SET version = version + 1"),
        ("no JSON", "UPDATE document SET body = '{'"),
    ];
    for (what, sql) in bad {
        let done = db.execute(sql, []);
        let code = done.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{what}: {done:?}");
    }
}

/// Runs SQL as somebody with the file but without the key would: triggers are no obstacle to them.
fn tamper(place: &Sqlite, sql: &str) {
    let db = Connection::open(place.path()).unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
         DROP TRIGGER log_is_not_rewritten; DROP TRIGGER log_is_not_cut; DROP TRIGGER log_has_no_gap;
         DROP TRIGGER personal_is_not_rewritten; DROP TRIGGER access_stays_ended;
         DROP TRIGGER access_stays_itself; DROP TRIGGER access_stays_until_settled;
         DROP TRIGGER document_goes_on; DROP TRIGGER head_stays;",
    )
    .unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_changed_log_is_found_at_its_first_bad_record() {
    let edits: [(&str, u64, &str); 12] = [
        (
            "edited",
            4,
            "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'test', 'tost') AS BLOB) WHERE seq = 4",
        ),
        (
            "cut at its end",
            7,
            "DELETE FROM log WHERE seq >= 7; DELETE FROM personal WHERE seq >= 7",
        ),
        ("cut in the middle", 3, "DELETE FROM log WHERE seq = 3"),
        (
            "reordered",
            2,
            "UPDATE log SET seq = -2 WHERE seq = 2; UPDATE log SET seq = 2 WHERE seq = 3; UPDATE log SET seq = 3 WHERE seq = -2",
        ),
        (
            "with a record put in",
            5,
            "UPDATE log SET seq = -seq - 1 WHERE seq >= 5; UPDATE log SET seq = -seq WHERE seq < 0; INSERT INTO log SELECT 5, version, body, hash, seal FROM log WHERE seq = 4",
        ),
        ("of another version", 6, "UPDATE log SET version = 2 WHERE seq = 6"),
        ("with its seal edited", 2, "UPDATE log SET seal = zeroblob(32) WHERE seq = 2"),
        ("with a seal that is none", 2, "UPDATE log SET seal = x'00' WHERE seq = 2"),
        ("without a head", 15, "DELETE FROM head"),
        (
            "with a record appended",
            15,
            "INSERT INTO log SELECT 15, version, body, hash, seal FROM log WHERE seq = 14",
        ),
        ("with an edited head", 15, "UPDATE head SET seal = zeroblob(32)"),
        (
            "with an edited name",
            10,
            "UPDATE personal SET text = 'mallory' WHERE seq = 10 AND path = '/entry/request/requester/name'",
        ),
    ];
    for (what, first_bad, sql) in edits {
        let (place, clock) = written().await;
        let store = place.open(&clock);
        let whole = store.verify_log().await.unwrap();
        assert_eq!((whole.records, whole.first_bad), (14, None));
        tamper(&place, sql);
        let verdict = store.verify_log().await.unwrap();
        assert_eq!(verdict.first_bad, Some(first_bad), "a log {what}");
        drop(store);
        let verdict = verify(&place.path(), &LOG_KEY).unwrap();
        assert_eq!(verdict.first_bad, Some(first_bad), "a log {what}, of a store that is closed");
    }
}

#[tokio::test]
async fn a_store_that_does_not_open_is_verified_all_the_same() {
    let edits = [
        ("all records gone", Some(1), "DELETE FROM log; DELETE FROM personal"),
        ("another installation", Some(1), "UPDATE meta SET value = 'x' WHERE key = 'installation'"),
        ("no installation", Some(1), "DELETE FROM meta WHERE key = 'installation'"),
        ("no tenant", None, "DELETE FROM meta WHERE key = 'tenant'"),
        ("a VM that is none", None, "UPDATE vm SET os = 'Plan 9'"),
        ("a rule of nobody", None, "DELETE FROM member"),
    ];
    for (what, first_bad, sql) in edits {
        let (place, clock) = written().await;
        let whole = verify(&place.path(), &LOG_KEY).unwrap();
        assert_eq!((whole.records, whole.first_bad, whole.rows_hold), (14, None, true));
        tamper(&place, sql);
        for _ in 0..2 {
            let opened = open(&place.path(), &clock).map(|_| ());
            assert!(matches!(opened, Err(OpenError::Damaged(_))), "{what}: {opened:?}");
            let verdict = verify(&place.path(), &LOG_KEY).unwrap();
            assert_eq!(verdict.first_bad, first_bad, "{what}");
            assert!(first_bad.is_some() || !verdict.rows_hold, "{what}");
        }
    }
    let (place, _) = written().await;
    assert_eq!(verify(&place.path(), &[1; 32]).unwrap().first_bad, Some(1), "another key");
}

#[tokio::test]
async fn what_is_over_is_compared_with_the_log_too() {
    let over = "request IN (SELECT n FROM request WHERE live = 0)";
    let edits = [
        ("who asked", "UPDATE request SET name = 'mallory' WHERE live = 0".to_owned()),
        ("who asks now", "UPDATE request SET name = 'mallory' WHERE live = 1".to_owned()),
        ("why", "UPDATE request SET justification = NULL".to_owned()),
        ("when", "UPDATE request SET created = created - 1 WHERE live = 0".to_owned()),
        ("from where", format!("UPDATE access SET source = '203.0.113.9' WHERE {over}")),
        ("when it ended", format!("UPDATE access SET ended = ended + 1 WHERE {over}")),
        ("that it ended", "UPDATE request SET live = 0, ended = 5 WHERE live = 1".to_owned()),
        ("one access", format!("DELETE FROM access WHERE port = 22 AND {over} AND position = 0")),
        (
            "all of it",
            format!("DELETE FROM access WHERE {over}; DELETE FROM request WHERE live = 0"),
        ),
        (
            "what never was",
            "INSERT INTO request SELECT 99, 'zzzzzz', policy, policy_spelled, person, name, upn, \
             created, justification, ticket, 0, 1 FROM request LIMIT 1"
                .to_owned(),
        ),
        ("what it is called", "UPDATE resource SET id = id || 'x', key = key || 'x'".to_owned()),
        ("what finds a VM", "UPDATE vm SET name = 'other'".to_owned()),
        ("what finds a policy", "UPDATE policy SET grp = 'other'".to_owned()),
    ];
    for (what, sql) in edits {
        let (place, clock) = written().await;
        let store = place.open(&clock);
        tamper(&place, &sql);
        let verdict = store.verify_log().await.unwrap();
        assert_eq!((verdict.first_bad, verdict.rows_hold), (None, false), "{what}");
        drop(store);
        let verdict = verify(&place.path(), &LOG_KEY).unwrap();
        assert_eq!((verdict.first_bad, verdict.rows_hold), (None, false), "{what}, closed");
    }
}

#[tokio::test]
async fn erasing_a_person_keeps_the_log_whole() {
    let (place, clock) = written().await;
    let db = raw(&place.path());
    assert!(
        db.execute("DELETE FROM personal WHERE path <> '/entry/request/accesses/0/source'", [])
            .unwrap()
            > 5
    );
    let bodies: String = db
        .query_row("SELECT group_concat(CAST(body AS TEXT)) FROM log", [], |row| row.get(0))
        .unwrap();
    assert!(!bodies.contains("p1@example.com") && !bodies.contains("192.0.2.7"));
    assert!(bodies.contains("commitment"));
    let verdict = place.open(&clock).verify_log().await.unwrap();
    assert!(verdict.first_bad.is_none() && verdict.rows_hold, "{verdict:?}");
    assert!(verdict.erased > 5, "and it is told: {verdict:?}");
}

#[tokio::test]
async fn rows_without_their_event_open_nothing() {
    let forgeries = [
        ("a longer grant", "UPDATE access SET until = until + 1 WHERE stage = 'granted'"),
        (
            "an end revived",
            "UPDATE access SET stage = 'granted', ended = NULL, reason = NULL, settled = 0 WHERE stage = 'ended'",
        ),
        ("a lock given back", "INSERT INTO released (address, port) VALUES ('10.0.0.4', 22)"),
        ("a port forgotten", "DELETE FROM rule WHERE port = 443"),
        ("another source allowed", "UPDATE rule SET sources = '*'"),
        ("a VM moved", "UPDATE vm_address SET address = '10.0.0.99' WHERE address = '10.0.0.5'"),
        (
            "a wider subnet",
            "UPDATE document SET body = replace(body, '10.0.0.0/24', '10.0.0.0/23')",
        ),
        ("an interface forgotten", "DELETE FROM document WHERE kind = 'networkInterfaces'"),
        ("a clock set back", "UPDATE head SET highest = highest - 1"),
        ("a secret replaced", "UPDATE principal SET secret_digest = zeroblob(32)"),
        (
            "a secret replaced, under another version of the seal",
            "UPDATE head SET rows_version = 0; UPDATE principal SET secret_digest = zeroblob(32)",
        ),
        (
            "a principal added",
            "INSERT INTO principal VALUES (zeroblob(16), zeroblob(16), 'mallory', zeroblob(32))",
        ),
        ("a password replaced", "UPDATE credential SET body = '2'"),
        ("a password made another's", "UPDATE credential SET object = zeroblob(16)"),
        ("a password that ends later", "UPDATE credential SET until = until + 1"),
        ("a password forgotten", "DELETE FROM credential"),
        ("a second factor taken for another", "UPDATE credential SET kind = 'passkey'"),
        (
            "a credential added",
            "INSERT INTO credential VALUES ('password', 'mallory', zeroblob(16), '', NULL)",
        ),
        (
            "a credential of a kind that is none",
            "INSERT INTO credential VALUES ('word', 'mallory', zeroblob(16), '', NULL)",
        ),
        (
            "a grant for another source",
            "UPDATE access SET source = '203.0.113.9' WHERE stage = 'granted'",
        ),
    ];
    for (what, sql) in forgeries {
        let (place, clock) = networked().await;
        let store = place.open(&clock);
        let client = Uuid::from_u128(77);
        let admin = Principal {
            client,
            object: Uuid::from_u128(78),
            name: "admin".to_owned(),
            secret_digest: [9; 32],
        };
        for secret_digest in [[9; 32], [10; 32]] {
            let note = Note::SecretRotated { client: client.to_string() };
            let admin = Principal { secret_digest, ..admin.clone() };
            store.set_principal(origin("root"), admin, note).await.unwrap();
        }
        let password = Credential {
            until: Some(clock.now().wall),
            ..credential(CredentialKind::Password, "ann", "1")
        };
        let changes = vec![CredentialChange::Put(password)];
        store.keep(origin("ann"), changes, note()).await.unwrap();
        let before = store.everything().await.unwrap();
        assert!(store.verify_log().await.unwrap().rows_hold);
        tamper(&place, sql);
        assert_eq!(store.everything().await.unwrap(), before, "{what}, while it runs");
        let verdict = store.verify_log().await.unwrap();
        assert!(!verdict.rows_hold && verdict.first_bad.is_none(), "{what}, while it runs");
        drop(store);
        let opened = open(&place.path(), &clock).map(|_| ());
        assert!(matches!(opened, Err(OpenError::Damaged(_))), "{what}, at the start: {opened:?}");
    }
}

#[tokio::test]
async fn opening_says_clearly_why_not() {
    let (place, clock) = written().await;
    let store = place.open(&clock);
    let twice = open(&place.path(), &clock).map(|_| ());
    assert!(matches!(twice, Err(OpenError::InUse(_))), "{twice:?}");
    let mode = |name| fs::metadata(name).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.path()), 0o600);
    assert_eq!(mode(place.path().with_extension("db-wal")), 0o600);
    drop(store);

    let other_key = SqliteStore::open(Open {
        path: place.path(),
        log_key: [1; 32],
        settings: Default::default(),
        clock: std::sync::Arc::clone(&clock) as std::sync::Arc<dyn Clock>,
        mint: std::sync::Arc::new(OsMint),
    });
    assert!(matches!(other_key.map(|_| ()), Err(OpenError::Damaged(_))));

    raw(&place.path())
        .execute("INSERT INTO migration (number, checksum) SELECT max(number) + 1, zeroblob(32) FROM migration", [])
        .unwrap();
    let newer = open(&place.path(), &clock).map(|_| ());
    let told = matches!(newer, Err(OpenError::TooNew { found, known }) if found == known + 1);
    assert!(told, "{newer:?}");

    let nowhere = open(Path::new("/proc/hourgate/store.db"), &clock).map(|_| ());
    assert!(matches!(nowhere, Err(OpenError::NotWritable { .. })), "{nowhere:?}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    raw(&path).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let foreign = open(&path, &clock).map(|_| ());
    assert!(matches!(foreign, Err(OpenError::Damaged(_))), "{foreign:?}");
    fs::write(&path, [7; 8192]).unwrap();
    let garbage = open(&path, &clock).map(|_| ());
    assert!(matches!(garbage, Err(OpenError::Damaged(_))), "{garbage:?}");
}

/// Set for the process that may mount a small disk of its own.
const SMALL_DISK: &str = "HOURGATE_TEST_SMALL_DISK";

/// On a disk of its own, 4 MiB, in a mount namespace of its own: the test runs itself again in one.
#[test]
fn a_full_disk_leaves_nothing_half_done() {
    if let Some(dir) = std::env::var_os(SMALL_DISK) {
        let mounted = process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "hourgate-test"])
            .arg(&dir)
            .status()
            .unwrap();
        assert!(mounted.success());
        tokio::runtime::Runtime::new().unwrap().block_on(fill(Path::new(&dir)));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let done = process::Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::a_full_disk_leaves_nothing_half_done", "--nocapture"])
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{said}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("disk was full"), "{said}");
}

async fn fill(dir: &Path) {
    let clock = HandClock::new();
    let path = dir.join("store.db");
    let store = open(&path, &clock).unwrap();
    prepare(&store).await;
    // What is given back later, to see that the store recovers.
    fs::write(dir.join("ballast"), vec![1; 200_000]).unwrap();
    let mut acknowledged = Vec::new();
    let refused = loop {
        let number = acknowledged.len() as u64;
        clock.pass(minutes(1) / 60);
        let asked = ask(&store, number, &format!("p{number}"), &[("web", 22)]);
        match try_act(&store, Command::Request(asked)).await {
            Ok(_) => acknowledged.push(RequestId::mint(number)),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 10_000, "4 MiB never get full");
    };
    assert!(!acknowledged.is_empty());
    println!("after {} requests the disk was full: {refused}", acknowledged.len());
    assert!(matches!(refused, TransactError::Store(StoreError::Unavailable(_))), "{refused:?}");
    let state = store.everything().await.unwrap();
    assert_eq!(state.requests.len(), acknowledged.len(), "all that was acknowledged, no more");
    assert_eq!(store.verify_log().await.unwrap().first_bad, None);
    fs::remove_file(dir.join("ballast")).unwrap();
    act(&store, register(&store, "after", &["10.0.0.200"])).await;
    assert_eq!(store.verify_log().await.unwrap().first_bad, None);
    assert_eq!(store.replay().await.unwrap(), store.everything().await.unwrap());
    drop(store);
    let store = open(&path, &clock).unwrap();
    assert_eq!(store.everything().await.unwrap().requests.len(), acknowledged.len());
    assert_eq!(store.everything().await.unwrap().vms.len(), 3);
}

#[tokio::test]
async fn a_closed_store_is_let_go_of_whoever_still_holds_it() {
    let (place, clock) = (Sqlite::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    // One who gave up waiting leaves a thread behind that reads on.
    for _ in 0..50 {
        let (reading, held) = (store.clone(), store.clone());
        let given_up = tokio::spawn(async move { reading.everything().await });
        tokio::task::yield_now().await;
        given_up.abort();
        store.close().await;
        let again = place.open(&clock);
        assert!(matches!(held.everything().await, Err(StoreError::Unavailable(_))));
        let refused = try_act(&held, register(&again, "late", &["10.0.0.99"])).await;
        assert!(matches!(refused, Err(TransactError::Store(StoreError::Unavailable(_)))));
        again.everything().await.unwrap();
        again.close().await;
    }
    place.open(&clock).close().await;
}

#[tokio::test]
async fn one_that_cannot_be_written_costs_the_others_nothing() {
    let (place, clock) = (Sqlite::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    raw(&place.path())
        .execute_batch(
            "CREATE TRIGGER test_fails BEFORE INSERT ON access WHEN NEW.source = '192.0.2.66' \
             BEGIN SELECT RAISE(ABORT, 'for a test'); END",
        )
        .unwrap();
    // Many at once, so that they are committed together.
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let store = store.clone();
            let mut asked = ask(&store, number, &format!("p{number}"), &[("web", 22)]);
            if number % 10 == 7 {
                asked.accesses[0].source = Some("192.0.2.66".parse().unwrap());
            }
            tokio::spawn(async move { try_act(&store, Command::Request(asked)).await })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let done = task.await.unwrap();
        if number % 10 == 7 {
            let damaged = Err(TransactError::Store(StoreError::Damaged("for a test".to_owned())));
            assert_eq!(done, damaged);
        } else {
            assert!(done.is_ok(), "{number}: {done:?}");
        }
    }
    assert_eq!(store.everything().await.unwrap().requests.len(), 36);
    agree::<Sqlite>(&store).await;
    drop(store);
    agree::<Sqlite>(&place.open(&clock)).await;
}
