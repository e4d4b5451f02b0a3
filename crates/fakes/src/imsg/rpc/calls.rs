//! Which function answers which method.

use std::sync::Arc;

use serde_json::Value;

use super::{
    actions,
    child::{Child, Job},
    dispatch::Call,
    events,
    failure::{Failure, Transport},
    groups,
    method::{Lane, Method},
    reads, rich, send, snapshot, watch,
};
use crate::imsg::fault::Fault;

/// Answers a request.
pub(crate) async fn call(
    child: &Arc<Child>,
    job: &Job,
    method: &Method,
    fault: Option<&Fault>,
) -> Result<Value, Failure> {
    let call = &Call { child, job, method, fault };
    if method.lane != Lane::Mutation {
        match fault {
            Some(Fault::DiesBefore) => child.die().await,
            Some(Fault::Refused(text)) => return Err(Failure::internal(text.clone())),
            _ => {}
        }
    }
    match method.names[0] {
        "initialize" => snapshot::initialize(call),
        "status" => snapshot::status(call),
        "chats.list" => reads::chats_list(call),
        "chats.get" => reads::chats_get(call),
        "messages.after" => reads::messages_after(call),
        "messages.history" => reads::messages_history(call),
        "messages.search" => reads::messages_search(call),
        "messages.scheduled" => reads::messages_scheduled(call),
        "messages.stats" => reads::messages_stats(call),
        "message.send_status" => reads::send_status(call),
        "handles.check" => reads::handles_check(call),
        "watch.subscribe" => watch::subscribe(call),
        "watch.unsubscribe" => watch::unsubscribe(call).await,
        "bridge.events.subscribe" => events::subscribe(call),
        "send" => send::send(call).await,
        "send.tracked" => send::tracked(call).await,
        "send.rich" => rich::rich(call).await,
        "send.attachment" => rich::attachment(call).await,
        "send.multipart" => rich::multipart(call).await,
        "tapback" => actions::tapback(call).await,
        "typing" => actions::typing(call).await,
        "read" => actions::read(call).await,
        "message.edit" => actions::edit(call).await,
        "message.unsend" => actions::unsend(call).await,
        "message.delete" => actions::delete(call).await,
        "message.notifyAnyways" => actions::notify_anyways(call).await,
        "chats.create" => groups::create(call).await,
        "chats.delete" => groups::delete(call).await,
        "chats.markUnread" => groups::mark_unread(call).await,
        "group.rename" => groups::rename(call).await,
        "group.setIcon" => groups::set_icon(call).await,
        "group.addParticipant" => groups::participant(call, true).await,
        "group.removeParticipant" => groups::participant(call, false).await,
        "group.leave" => groups::leave(call).await,
        // Stickers, polls, Name & Photo: this helper has no selectors for them.
        name => {
            let operation = if method.lane == Lane::Read { "" } else { name };
            call.helped(Transport::Helper, operation)?;
            Err(Failure::internal("the helper did not answer"))
        }
    }
}
