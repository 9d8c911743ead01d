"""What the agents of AutoGen 0.2 are told by default, and the names of 0.2 that are not here."""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = ["DESCRIPTION", "ELSEWHERE", "INSTRUCTIONS", "PROXIES", "HumanInputMode"]

HumanInputMode = Literal["ALWAYS", "TERMINATE", "NEVER"]

ELSEWHERE: Final = frozenset(
    {
        "a_check_termination_and_human_reply",
        "a_execute_function",
        "a_generate_function_call_reply",
        "a_generate_init_message",
        "a_generate_oai_reply",
        "a_generate_reply",
        "a_generate_tool_calls_reply",
        "a_get_human_input",
        "a_initiate_chat",
        "a_initiate_chats",
        "a_process_all_messages_before_reply",
        "a_process_last_received_message",
        "a_receive",
        "a_send",
        "can_execute_function",
        "chat_messages_for_summary",
        "check_termination_and_human_reply",
        "code_executor",
        "execute_code_blocks",
        "execute_function",
        "generate_code_execution_reply",
        "generate_function_call_reply",
        "generate_init_message",
        "generate_oai_reply",
        "generate_tool_calls_reply",
        "get_actual_usage",
        "get_chat_results",
        "get_total_usage",
        "initiate_chats",
        "max_consecutive_auto_reply",
        "print_usage_summary",
        "process_all_messages_before_reply",
        "process_last_received_message",
        "register_hook",
        "register_model_client",
        "register_nested_chats",
        "register_reply",
        "replace_reply_func",
        "reset_consecutive_auto_reply_counter",
        "run_code",
        "stop_reply_at_receive",
        "update_function_signature",
        "update_max_consecutive_auto_reply",
        "update_tool_signature",
        "use_docker",
    }
)
"""Methods and properties of 0.2 that are not here."""

# The user of a script of 0.2 executes code, so the model is told to write it.
INSTRUCTIONS: Final = (
    "You are a helpful AI assistant. Solve the task step by step: say your plan first, then do "
    "one step at a time. Use the functions that you have.\n"
    "Where code helps, to look something up, to compute or to check a result, write one "
    "complete block of code in your message, marked ```python or ```sh. The user executes it "
    "as it is and sends you its output. The user can do nothing else: do not leave anything to "
    "fill in, print what you need to see, and write a block only if it is to be executed. To "
    "have it saved, begin it with the line `# filename: <name>`.\n"
    "Read the output. If it is an error, correct the code and send all of it again. If the "
    "task is not solved yet, question your assumptions and try another way.\n"
    "Check your answer before you give it. When everything is done, end your message with "
    "TERMINATE."
)
DESCRIPTION: Final = (
    "A helpful assistant that plans, writes text, and writes Python and shell code."
)
_EXECUTES: Final = "executes the Python and shell code in messages, and sends its output"
PROXIES: Final[Mapping[HumanInputMode, str]] = {
    "ALWAYS": f"A person who answers questions about the task, and {_EXECUTES}.",
    "TERMINATE": f"A user who {_EXECUTES}.",
    "NEVER": f"A terminal that {_EXECUTES}, and does nothing else.",
}
"""What the other agents are told about a proxy, by its `human_input_mode`."""
