//! Does what was planned, one call after the other, and says where it stopped.

use reqwest::{Method, header};
use serde_json::Value;

use super::{
    plan::{Act, Plan, Step, all_said, without_peers},
    thing::Thing,
};
use crate::{
    client::Call,
    commands::Session,
    exit::{Exit, Failure},
    progress::Counted,
};

/// One call.
struct Write<'a> {
    thing: &'a Thing,
    act: &'a Act,
    body: Option<Value>,
    /// Whether it is the first about its thing, which must stand as it was compared.
    first: bool,
}

/// Does all that changes something. Where the server refuses in the middle, what was done stays, and the
/// failure says what that is.
pub(crate) async fn all(session: &Session, plan: &Plan) -> Result<(), Failure> {
    let writes = writes(plan);
    let counted = Counted::new(writes.len());
    for (done, write) in writes.iter().enumerate() {
        counted.next(&format!("{} {}", write.act.word(), write.thing));
        if let Err(failure) = one(session, write).await {
            return Err(stopped(&writes, done, failure));
        }
    }
    Ok(())
}

/// Networks that are joined refer to each other. So one that is made is made alone first, and joined when all
/// are there; and all that are removed are set alone before the first goes.
fn writes(plan: &Plan) -> Vec<Write<'_>> {
    let (mut set, mut join, mut leave, mut remove) = (vec![], vec![], vec![], vec![]);
    for Step { thing, act } in &plan.steps {
        let write = |body: Option<Value>, first| Write { thing, act, body, first };
        match act {
            Act::Create { body } => match without_peers(thing, body) {
                Some(alone) => {
                    set.push(write(Some(alone), true));
                    join.push(write(Some(body.clone()), false));
                }
                None => set.push(write(Some(body.clone()), true)),
            },
            Act::Change { body, .. } => set.push(write(Some(all_said(thing, body)), true)),
            Act::Remove { alone } => {
                leave.extend(alone.clone().map(|alone| write(Some(alone), false)));
                remove.push(write(None, true));
            }
            Act::Nothing => {}
        }
    }
    set.into_iter().chain(join).chain(leave).chain(remove).collect()
}

async fn one(session: &Session, write: &Write<'_>) -> Result<(), Failure> {
    let path = write.thing.route().uri();
    let Some(body) = &write.body else {
        return match session.client.send(Call::new(Method::DELETE, &path)).await {
            // Gone with something that was removed before it.
            Err(failure) if failure.exit == Exit::NotFound => Ok(()),
            other => other.map(drop),
        };
    };
    let call = Call::new(Method::PUT, &path).body(body);
    let call = match (write.act, conditional(write.thing) && write.first) {
        (Act::Create { .. }, true) => call.header(header::IF_NONE_MATCH.as_str(), "*"),
        (Act::Change { etag: Some(etag), .. }, true) => {
            call.header(header::IF_MATCH.as_str(), etag)
        }
        _ => call,
    };
    match session.client.send_if(call).await? {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Exit::Refused,
            format!("{} was changed by somebody else meanwhile.", write.thing),
        )
        .advise("Type the same again: it is compared anew.")),
    }
}

/// Whether the server takes conditions about it.
fn conditional(thing: &Thing) -> bool {
    match thing {
        Thing::Resource(_) | Thing::Policy(_) => true,
        // A part has the version of the whole, which grows with each of its parts.
        Thing::Part(..) => false,
    }
}

/// Where it stopped: what is done, what was refused, what was not tried.
fn stopped(writes: &[Write<'_>], done: usize, failure: Failure) -> Failure {
    const LISTED_MAX: usize = 10;
    let list = |writes: &[Write<'_>], how: &str| {
        let mut lines: Vec<String> = writes
            .iter()
            .take(LISTED_MAX)
            .map(|write| format!("{how}: {} {}", write.act.word(), write.thing))
            .collect();
        if writes.len() > LISTED_MAX {
            lines.push(format!("{how}: and {} more", writes.len() - LISTED_MAX));
        }
        lines
    };
    let sentence = format!(
        "Stopped at step {} of {}, to {} {}: {}",
        done + 1,
        writes.len(),
        writes[done].act.word(),
        writes[done].thing,
        failure.sentence
    );
    let mut details = failure.details;
    details.extend(list(&writes[..done], "done"));
    details.extend(list(&writes[done + 1..], "not tried"));
    let advice = failure.advice.unwrap_or_else(|| {
        "What is done stays. Once the cause is gone, the same command goes on from there."
            .to_owned()
    });
    Failure::new(failure.exit, sentence).because(details).advise(advice)
}
